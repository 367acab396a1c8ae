"""Small batches for the tests of a connector: members by number, whose identifiers a test sees at a glance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from cdp_bridge.model import AudienceRef, Batch, Operation

Values = Mapping[int, Sequence[str]]


def digest(value: object) -> str:
    """What a profile makes of a value: lower-case hex of SHA-256."""
    return hashlib.sha256(str(value).encode()).hexdigest()


def keys(*members: int) -> list[bytes]:
    """Their member keys."""
    return [member.to_bytes(16) for member in members]


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
