"""The rows of members that TikTok gets, and what its answer says about each of them (tiktok.md 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from cdp_bridge.sdk import Batch, Outcome

SCHEMA = {
    "email": ("EMAIL_SHA256",),
    "phone": ("PHONE_SHA256",),
    # Nobody says whose phone it is: the id stands under both types, and matches under its own only.
    "mobile_ad_id": ("IDFA_SHA256", "AAID_SHA256"),
}
"""Column of the profile `tiktok-audience` -> TikTok's id types."""

ACTIONS = {"add": "add", "remove": "delete"}
MAX_ROWS, MAX_BYTES = 1_000, 1_000_000

NO_IDENTIFIER = "tiktok:no_identifier"
PARTLY_DONE = "tiktok:20001"


class Upload(msgspec.Struct, frozen=True):
    """The request of one batch: how many rows it has, and which members have none."""

    rows: int
    empty: list[bytes]
    body: bytes


def upload(batch: Batch, advertiser_id: str) -> Upload:
    """One row a member, further ones for those with several values in a column; a cell is {} where there is none."""
    filled = [column for column in SCHEMA if any(batch.identifiers.get(column, ()))]
    rows, _ = batch.rows(filled)
    empty = [key for key, row in zip(batch.keys, rows, strict=False) if not any(row)]
    rows = [row for row in rows if any(row)] if empty else rows
    body = {
        "advertiser_ids": [advertiser_id],
        "action": ACTIONS[batch.operation],
        "id_schema": [name for column in filled for name in SCHEMA[column]],
        "batch_data": _cells(rows, filled, batch.audience.id),
    }
    return Upload(len(rows), empty, msgspec.json.encode(body))


def _cells(rows: Sequence[Sequence[str]], columns: Sequence[str], audience_id: str) -> list[tuple[dict[str, Any], ...]]:
    nothing: dict[str, Any] = {}
    audience_ids = [audience_id]
    cells = [
        [{"id": value, "audience_ids": audience_ids} if value else nothing for value in values]
        for values in zip(*rows, strict=True)
    ]
    return list(zip(*(own for column, own in zip(columns, cells, strict=True) for _ in SCHEMA[column]), strict=True))


def outcome_of(batch: Batch, data: Any) -> Outcome:
    """What became of each member where TikTok did a part only: those that it names are rejected, if it names any."""
    texts = set(_texts(data))
    columns = batch.identifiers.values()
    named = [key for i, key in enumerate(batch.keys) if any(not texts.isdisjoint(column[i]) for column in columns)]
    if not named:
        return Outcome(unknown=frozenset(batch.keys))
    return Outcome(rejected=dict.fromkeys(named, PARTLY_DONE))


def _texts(data: Any) -> list[str]:
    if isinstance(data, dict):
        data = [*data, *data.values()]
    if isinstance(data, list):
        return [text for part in data for text in _texts(part)]
    return [data] if isinstance(data, str) else []
