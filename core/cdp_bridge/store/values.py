"""Values that the store takes and returns besides the entities."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from cdp_bridge.entities import MatchEstimate, SyncLog
from cdp_bridge.model import AudienceRef, Operation

Acknowledgement = Literal["accepted", "unknown"]
MemberRow = tuple[bytes, bytes, str | None, bytes]
"""member_key (16 bytes), fingerprint (16 bytes, or empty: send again), CDP user id, packed identifiers."""


class Member(Struct, frozen=True):
    """A person as the platform holds them; an empty `fingerprint` means that the state there is in doubt."""

    member_key: bytes
    fingerprint: bytes
    user_id: str | None
    identifiers: bytes
    outcome: Acknowledgement
    acknowledged_at: datetime


class Ensured(Struct, frozen=True, kw_only=True):
    """What the bridge remembers of an audience between runs, besides its ref.

    `settings_digest` is of the destination's settings that it was made with, `wanted_name` its configured name when it
    was last named, `given_name` what the platform called it then, `shown_size` the least size that the platform showed
    when it last showed one.
    """

    settings_digest: str | None = None
    wanted_name: str | None = None
    given_name: str | None = None
    shown_size: int | None = None


class Delivery(Struct, frozen=True, kw_only=True):
    """A batch that is written down before it is sent: `sending`, or `pending` with the platform's reference."""

    id: str
    audience: str
    operation: Operation
    run_id: str
    members: list[MemberRow]
    status: Literal["sending", "pending"] = "sending"
    pending: str | None = None
    created_at: datetime


class AudienceRow(Struct, frozen=True, kw_only=True):
    """An audience with the platform's name of it, the size of its ledger and its newest run."""

    name: str
    ref: AudienceRef | None
    members: int
    last_run: SyncLog | None
    match: MatchEstimate | None
