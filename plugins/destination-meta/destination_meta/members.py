"""The rows of members that Meta gets, and what its counts say about each of them (meta.md 4.1, 4.2, 4.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from cdp_bridge.sdk import Batch, Outcome

SCHEMA = {
    "email": "EMAIL",
    "phone": "PHONE",
    "first_name": "FN",
    "last_name": "LN",
    "gender": "GEN",
    "birth_year": "DOBY",
    "birth_month": "DOBM",
    "birth_day": "DOBD",
    "city": "CT",
    "region": "ST",
    "postal_code": "ZIP",
    "country": "COUNTRY",
    "mobile_ad_id": "MADID",
    "external_id": "EXTERN_ID",
}
"""Column of the profile `meta` -> key of Meta's schema; the profile hashes all but the last two."""

LimitedDataUse = Literal["none", "california", "located"]
MAX_ROWS = 10_000
LDU_KEYS = ("DATA_PROCESSING_OPTIONS", "DATA_PROCESSING_OPTIONS_COUNTRY", "DATA_PROCESSING_OPTIONS_STATE")
LDU_CELLS: dict[str, tuple[Any, ...]] = {"california": (["LDU"], 1, 1000), "located": (["LDU"], 0, 0)}

INVALID = "meta:invalid_entry"
NO_IDENTIFIER = "meta:no_identifier"
TOO_SMALL = "meta:too_small"
"""Of a removal: Meta refuses all of them while the audience is so small."""

Row = tuple[str, ...]


class Upload(msgspec.Struct, frozen=True):
    """The rows of one batch: row i belongs to member `owners[i]`; `payload` is their JSON."""

    rows: list[Row]
    owners: list[int]
    payload: bytes


def upload(batch: Batch, limited_data_use: LimitedDataUse = "none") -> Upload:
    """The batch in array form, also for a single key: an audience takes one form only (meta.md 4.1).

    A column without any value is left out. Removals have no limited data use: it marks people who are in.
    """
    filled = [column for column in SCHEMA if any(batch.identifiers.get(column, ()))]
    rows, owners = batch.rows(filled) if filled else ([], [])
    keys = tuple(SCHEMA[column] for column in filled)
    data: Sequence[tuple[Any, ...]] = rows
    if batch.operation == "add" and limited_data_use != "none":
        keys, data = keys + LDU_KEYS, [row + LDU_CELLS[limited_data_use] for row in rows]
    return Upload(rows, owners, msgspec.json.encode({"schema": keys, "data": data}))


def outcome_of(sent: Upload, keys: Sequence[bytes], received: int, invalid: int, samples: Any) -> Outcome:
    """What became of each member, by this batch's share of the session's counts.

    Meta counts badly formed rows and shows some of their cells, but never says which rows it means: a member is
    rejected when the samples name all its rows, the others are accepted if the named rows explain the whole count.
    """
    if received < len(sent.rows):
        return Outcome(unknown=frozenset(keys))
    if invalid <= 0:
        return Outcome()
    cells = set(_texts(samples))
    named = {i for i, row in enumerate(sent.rows) if not cells.isdisjoint(row)}
    if len(named) > invalid:
        return Outcome(unknown=frozenset(keys))
    owners = {sent.owners[i] for i in named}
    intact = {owner for i, owner in enumerate(sent.owners) if i not in named}
    refused = owners - intact
    doubtful = owners & intact if len(named) == invalid else set(range(len(keys))) - refused
    return Outcome(rejected={keys[i]: INVALID for i in refused}, unknown=frozenset(keys[i] for i in doubtful))


def _texts(samples: Any) -> list[str]:
    """Every text in a map or list of samples except the empty one, which most rows hold somewhere."""
    if isinstance(samples, dict):
        samples = [*samples, *samples.values()]
    if isinstance(samples, list):
        return [text for part in samples for text in _texts(part)]
    return [samples] if isinstance(samples, str) and samples else []
