"""What is sent in one request, and what the platform said of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct, field

from cdp_bridge.model.audience import AudienceRef
from cdp_bridge.model.events import Conversion

Operation = Literal["add", "remove", "track"]
"""People are added to an audience and removed from it; conversions are tracked."""


class Batch(Struct, frozen=True, kw_only=True):
    """Members to add to or remove from one audience; the core has normalised and hashed what the profile hashes.

    `identifiers[column][i]` are the values of member `keys[i]` in that column of the profile (hashed ones as 64
    lower-case hex digits); a member may have none or several. `number` counts the batches of this operation in this run
    from 1, `last` marks the final one, `total` is the number of members of the operation in this run.

    With `track`, `keys[i]` stands for the conversion `events[i]` and the identifiers are those of the person behind it;
    there is no audience then: its reference has the name of the object that is written.
    """

    audience: AudienceRef
    operation: Operation
    keys: Sequence[bytes]
    identifiers: Mapping[str, Sequence[Sequence[str]]]
    events: Sequence[Conversion] = ()
    number: int = 1
    last: bool = True
    total: int = 0

    def rows(self, columns: Sequence[str]) -> tuple[list[tuple[str, ...]], list[int]]:
        """The members as rows of `columns`, "" where there is no value, and the place of each row's owner in `keys`.

        First one row a member, then the further rows of members with several values in a column. In those a shorter
        column starts over, so each value is there at least once and only beside others of its owner.
        """
        held = [self.identifiers[column] for column in columns]
        owners = list(range(len(self.keys)))
        rows = list(zip(*([v[0] if v else "" for v in column] for column in held), strict=True)) or [()] * len(owners)
        for owner in sorted({i for column in held for i, count in enumerate(map(len, column)) if count > 1}):
            values = [column[owner] for column in held]
            for turn in range(1, max(map(len, values))):
                rows.append(tuple(v[turn % len(v)] if v else "" for v in values))
                owners.append(owner)
        return rows, owners


class Outcome(Struct, frozen=True, kw_only=True):
    """What the platform said of a batch: each member is rejected with a reason, unknown, or accepted (all others).

    `counts` say how many members the platform refuses for which reason, where it does not say whom: then all who are
    not rejected by name are unknown. `pending` is the platform's reference when the answer comes later through
    `settle`. `match_rate` is the platform's estimate of the share of the batch that it knows (0 to 1), as an interval
    with both ends. `pause` is how many seconds the platform wants us to stay away from the account.
    """

    rejected: Mapping[bytes, str] = field(default_factory=dict)
    unknown: frozenset[bytes] = frozenset()
    counts: Mapping[str, int] = field(default_factory=dict)
    pending: str | None = None
    match_rate: tuple[float, float] | None = None
    pause: float = 0.0

    def open(self, keys: Iterable[bytes]) -> set[bytes]:
        """Those of `keys`, the members of the batch, of whom it is not known (yet) whether the platform has them."""
        unnamed = set(keys) - self.rejected.keys()
        return unnamed if self.counts or self.pending is not None else unnamed & self.unknown
