"""An audience as the bridge wants it, as the platform holds it, and what else an account holds."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field


class Audience(Struct, frozen=True, kw_only=True):
    """An audience as the bridge wants it.

    `marker` is a short text that is unique to it: stored at the platform, it finds the audience again. `name` and
    `description` are for people. `ref` is what an earlier `ensure` returned, `object` the stream of the catalogue that
    is written: a destination that has several puts it into the `id` of what it returns. `rename` says that `name` is
    another one than the audience was given: an audience that is there gets it, where the platform can do that.
    """

    marker: str
    name: str
    description: str = ""
    ref: AudienceRef | None = None
    object: str = ""
    rename: bool = False


class AudienceRef(Struct, frozen=True, kw_only=True):
    """An audience as the platform holds it.

    `account` is whose `Limits` it uses up, `name` what it is called there, `status` the platform's own word,
    `lower_bound` and `upper_bound` the size that it shows: None while it hides or computes that. `matched` is its
    estimate of how many of those who were sent it knows, `match_rate` of their share (0 to 1), as intervals with both
    ends, whichever it tells. `id` is empty while the platform has none yet, since the first batch makes it: `name`
    then tells the audience from others, and a later `ensure` gives the id.
    """

    id: str
    account: str
    name: str = ""
    status: str = ""
    lower_bound: int | None = None
    upper_bound: int | None = None
    matched: tuple[int, int] | None = None
    match_rate: tuple[float, float] | None = None


class Inventory(Struct, frozen=True, kw_only=True):
    """What credentials reach at a platform: `accounts` by id with their names, and the audiences of the account that
    the settings name, also those that others have made.
    """

    accounts: Mapping[str, str] = field(default_factory=dict)
    audiences: tuple[AudienceRef, ...] = ()
