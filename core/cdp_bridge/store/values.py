"""What the store hands out besides the entities: ledger members, deliveries under way, audiences at a glance."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from cdp_bridge.entities import SyncLog
from cdp_bridge.model import AudienceRef, Operation

Acknowledgement = Literal["accepted", "unknown"]
MemberRow = tuple[bytes, bytes, str | None, bytes]
"""member_key (16 bytes), fingerprint (16 bytes, or empty: send again), CDP user id, packed identifiers."""


class Member(Struct, frozen=True):
    """A person as the platform holds them; an empty `fingerprint` means that the state there is unknown or stale."""

    member_key: bytes
    fingerprint: bytes
    user_id: str | None
    identifiers: bytes
    outcome: Acknowledgement
    acknowledged_at: datetime


class Delivery(Struct, frozen=True, kw_only=True):
    """A batch written down before it goes out: `sending`, or `pending` with the platform's reference to settle."""

    id: str
    audience: str
    operation: Operation
    run_id: str
    members: list[MemberRow]
    status: Literal["sending", "pending"] = "sending"
    pending: str | None = None
    created_at: datetime


class AudienceRow(Struct, frozen=True, kw_only=True):
    """An audience at a glance: the activation's name, what the platform calls it, its ledger's size, its newest run."""

    name: str
    ref: AudienceRef | None
    members: int
    last_run: SyncLog | None
