"""Small batches for the tests of a connector: members by number, whose identifiers a test sees at a glance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from cdp_bridge.model import AudienceRef, Batch, Operation, Outcome

Values = Mapping[int, Sequence[str]]


class MakeBatch(Protocol):
    """The function `batch`, where a fixture hands it on."""

    def __call__(
        self,
        audience: AudienceRef,
        members: Iterable[int],
        operation: Operation = "add",
        *,
        number: int = 1,
        last: bool = True,
        total: int = 0,
        **columns: Values,
    ) -> Batch:
        """As `batch`."""


def digest(value: object) -> str:
    """What a profile makes of a value: lower-case hex of SHA-256."""
    return hashlib.sha256(str(value).encode()).hexdigest()


def keys(*members: int) -> list[bytes]:
    """Their member keys."""
    return [member.to_bytes(16) for member in members]


def pending_of(outcome: Outcome) -> str:
    """The reference of what is pending; AssertionError if nothing is."""
    assert outcome.pending is not None, "nothing is pending; the outcome is final"
    return outcome.pending


def batch(
    audience: AudienceRef,
    members: Iterable[int],
    operation: Operation = "add",
    *,
    number: int = 1,
    last: bool = True,
    total: int = 0,
    **columns: Values,
) -> Batch:
    """Members with one e-mail address each (`digest("7@example.com")`), unless `email={7: [...]}` says otherwise.

    Further columns of the profile are given in the same way.
    """
    members = list(members)
    columns["email"] = {member: [digest(f"{member}@example.com")] for member in members} | dict(
        columns.get("email", {})
    )
    identifiers = {name: [values.get(member, []) for member in members] for name, values in columns.items()}
    return Batch(
        audience=audience,
        operation=operation,
        keys=keys(*members),
        identifiers=identifiers,
        number=number,
        last=last,
        total=total,
    )
