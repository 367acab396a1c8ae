"""Reads the members of an audience from the Profiles Sync warehouse, one record a person, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from cdp_bridge.sdk import Checkpoint, ConfigError, Page, ReadRequest, TransientError

from source_segment.people import folded_here, records
from source_segment.query import LISTS, Selection
from source_segment.warehouse import ROWS, Warehouse

STREAM = "audience_members"
OVERLAP = timedelta(hours=2)
"""An hourly sync loads its tables one after the other, so a later read goes back this far behind the last one."""
PEOPLE_AT_ONCE = 100_000
"""How many people DuckDB folds in this process at a time, for the sake of memory."""
MAX_TRAITS = 1_000

Json = Mapping[str, Any]


def read(warehouse: Warehouse, audiences: Sequence[Json], request: ReadRequest) -> Iterator[Page | Checkpoint]:
    """The people of these audiences, and a checkpoint that covers them all.

    Raises ConfigError for missing tables and TransientError where the warehouse contradicts the Public API: an
    extract is honest or there is none.
    """
    warehouse.check_tables()
    since = _since(request)
    newest = freshness(warehouse)
    types, traits, flags = _names(warehouse, request.fields, {audience["key"] for audience in audiences})
    for audience in audiences:
        _check_flag(audience, flags)
        selection = Selection(audience["key"], types, traits, since)
        yield from _changes(warehouse, selection) if since else _everybody(warehouse, selection, audience)
    yield Checkpoint(STREAM, {"since": newest.isoformat()})


def freshness(warehouse: Warehouse) -> datetime:
    """When the newest row came, in UTC; ConfigError if nothing was synced yet."""
    moments = [_moment(row["newest"], row["name"]) for row in warehouse.rows(warehouse.sql.newest()) if row["newest"]]
    if not moments:
        raise ConfigError(
            "the tables are empty",
            place=f"warehouse schema {warehouse.schema}",
            remedy="Wait for the backfill of Profiles Sync, which starts with live data",
        )
    return max(moments)


def _everybody(warehouse: Warehouse, selection: Selection, audience: Json) -> Iterator[Page]:
    people = 0
    for page in _pages(warehouse, selection):
        people += len(page.records)
        yield page
    size = (audience.get("size") or {}).get("count") or 0
    if not people and size:
        raise TransientError(
            f"the warehouse holds no member of {selection.key}, but Segment says it has {size}; "
            "wait for the next Profiles Sync, or compare warehouse.schema with the space"
        )


def _changes(warehouse: Warehouse, selection: Selection) -> Iterator[Page]:
    """Merged-away profiles first, so that their survivor's record is the last word on an identifier they share."""
    assert selection.since is not None
    gone = merged_away(warehouse.rows(warehouse.sql.merged(selection.since)))
    for start in range(0, len(gone), ROWS):
        yield Page(STREAM, records(_folded_rows(gone[start : start + ROWS], selection), selection))
    yield from _pages(warehouse, selection)


def _pages(warehouse: Warehouse, selection: Selection) -> Iterator[Page]:
    for batch in _folded(warehouse, selection):
        for start in range(0, len(batch), ROWS):
            yield Page(STREAM, records(batch.slice(start, ROWS), selection))


def _folded(warehouse: Warehouse, selection: Selection) -> Iterator[pa.RecordBatch]:
    if warehouse.dialect not in LISTS:
        yield from folded_here(warehouse.batches(warehouse.sql.facts(selection)), selection)
        return
    parts = 1
    if warehouse.dialect == "duckdb":
        (counted,) = warehouse.rows(warehouse.sql.size(selection))
        parts = -(-counted["people"] // PEOPLE_AT_ONCE) or 1
    for number in range(parts):
        yield from warehouse.batches(warehouse.sql.members(selection, (number, parts)))


def merged_away(rows: Sequence[Json]) -> list[dict[str, str | None]]:
    """Records to take out, as `canonical_segment_id` and `user_id`.

    Each merged-away profile goes under its own id, and under every user id of its survivor but the first, which the
    survivor's own record goes by.
    """
    first: dict[str, str | None] = {}
    for row in rows:
        first.setdefault(row["survivor"], row["user_id"])
    pairs = [(row["segment_id"], row["user_id"]) for row in rows if row["user_id"] != first[row["survivor"]]]
    own = [(row["segment_id"], None) for row in rows]
    return [
        {"canonical_segment_id": segment_id, "user_id": user_id} for segment_id, user_id in dict.fromkeys(own + pairs)
    ]


def _folded_rows(gone: Sequence[Mapping[str, str | None]], selection: Selection) -> pa.RecordBatch:
    lists = pa.list_(pa.string())
    columns = {
        "canonical_segment_id": pa.array([row["canonical_segment_id"] for row in gone], pa.string()),
        **{f"t{number}": pa.nulls(len(gone), pa.string()) for number in range(len(selection.all_traits))},
        **{f"i{number}": pa.nulls(len(gone), lists) for number in range(len(selection.all_types))},
        "i0": pa.array([[row["user_id"]] if row["user_id"] else None for row in gone], lists),
    }
    return pa.record_batch(columns)


def _names(
    warehouse: Warehouse, fields: Sequence[str], keys: set[str]
) -> tuple[tuple[str, ...], tuple[str, ...], set[str]]:
    """The identifier types and traits that are wanted and exist, and the audience keys that exist as flags."""
    types, traits = _wanted(fields, "identifiers"), _wanted(fields, "traits")
    existing = warehouse.rows(warehouse.sql.names(types, None if traits is None else traits | keys))
    existing_traits = {row["name"] for row in existing if row["kind"] == "t"}
    wanted = existing_traits if traits is None else existing_traits & traits
    if len(wanted) > MAX_TRAITS:
        raise ConfigError(
            f"profiles have {len(wanted)} traits, more than {MAX_TRAITS}",
            place="mapping",
            remedy="Ask for the traits that you need by name",
        )
    existing_types = sorted(row["name"] for row in existing if row["kind"] == "i")
    return tuple(existing_types), tuple(sorted(wanted)), existing_traits & keys


def _wanted(fields: Sequence[str], struct: str) -> set[str] | None:
    """Every name that the dotted paths into a struct may mean (names hold dots too), None for all."""
    if not fields or struct in fields:
        return None
    names: set[str] = set()
    for path in (field.removeprefix(f"{struct}.") for field in fields if field.startswith(f"{struct}.")):
        parts = path.split(".")
        names.update(".".join(parts[:end]) for end in range(1, len(parts) + 1))
        if path.startswith('"'):
            names.add(path[1:].replace('""', "\0").partition('"')[0].replace("\0", '"'))
    return names


def _check_flag(audience: Json, flags: set[str]) -> None:
    if audience["key"] not in flags:
        raise ConfigError(
            f"no profile in the warehouse has the trait {audience['key']}, which says who is in the audience",
            place="warehouse.schema",
            remedy="Check that Profiles Sync writes this space there; a new audience needs its next sync",
        )


def _since(request: ReadRequest) -> datetime | None:
    if request.checkpoint is None:
        return None
    return _moment(request.checkpoint.get("since"), "checkpoint") - OVERLAP


def _moment(value: Any, place: str) -> datetime:
    """A UTC time out of what a driver or a checkpoint holds; times without a zone are UTC in these tables."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ConfigError("holds no time that can be read", place=place, remedy="Read everything once more") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
