"""The Profiles Sync warehouse of the Segment twin: filled once and moved on by hourly sync ticks.

Tables and columns: segment.md section 8. Trait and identifier values are text; `timestamp` is empty on backfilled rows.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice

import duckdb
import pyarrow as pa

from sandbox.churn import Churn
from sandbox.person import Person
from sandbox.warehouse_stores import AUDIENCE_FLAGS, TRAITS, Store, open_store

BACKFILL = datetime.fromisoformat("2026-03-01T00:00:00")
_LATE = timedelta(minutes=5)
_CHUNK = 50_000
_SEQUENCES_PER_CHUNK = 5_000_000

_USER_TRAITS = """
    SELECT segment_id AS canonical_segment_id, name, value FROM (
        UNPIVOT people ON COLUMNS(* EXCLUDE (segment_id, merged_segment_ids, types, values))
        INTO NAME name VALUE value)"""
_USER_IDENTIFIERS = """
    SELECT segment_id AS canonical_segment_id, unnest(types) AS type, unnest(values) AS value FROM people"""
_PROFILE_MERGES = """
    SELECT segment_id AS canonical_segment_id, unnest(merged_segment_ids) AS segment_id FROM people"""
_ID_GRAPH = """
    SELECT segment_id, segment_id AS canonical_segment_id FROM people
    UNION ALL SELECT unnest(merged_segment_ids), segment_id FROM people"""
_STAMPED = """
    SELECT *, $first + row_number() OVER () AS seq, $at::TIMESTAMP AS received_at, $at::TIMESTAMP AS uuid_ts,
        $happened::TIMESTAMP AS timestamp FROM found"""
_GRAPH_UPDATES = """
    SELECT segment_id, canonical_segment_id, 'identify' AS triggering_event_type,
        'msg-' || segment_id AS triggering_event_id, $happened::TIMESTAMP AS timestamp FROM found"""
_MAPPING_UPDATES = """
    SELECT canonical_segment_id AS segment_id, type AS external_id_type, value AS external_id_value,
        sha256(value) AS external_id_hash, $first + row_number() OVER () AS seq, $happened::TIMESTAMP AS timestamp,
        $operation AS __operation FROM found"""
_TRAITS_UPDATES = """
    SELECT * EXCLUDE (merged_segment_ids, types, values), $first + row_number() OVER () AS seq,
        $at::TIMESTAMP AS received_at, $at::TIMESTAMP AS uuid_ts FROM people"""
_MATERIALISED = {"user_traits": _USER_TRAITS, "user_identifiers": _USER_IDENTIFIERS, "profile_merges": _PROFILE_MERGES}


def seed(url: str, people: Iterable[Person], schema: str = "prod", at: datetime = BACKFILL) -> None:
    """Write the backfill of a population into `schema`, replacing the tables that were there.

    `url` is `duckdb:///FILE` (absolute: four slashes; opened and closed again, for DuckDB lets one process write) or
    `postgresql://...`.
    """
    rest = iter(people)
    first = _first_sequence(at)
    with open_store(url, schema) as store:
        store.create()
        while chunk := list(islice(rest, _CHUNK)):
            with _Engine(first, at, None) as engine:
                engine.backfill(store, _profiles(chunk))
            first += _SEQUENCES_PER_CHUNK


def apply_churn(url: str, happened: Churn, schema: str = "prod") -> datetime:
    """The next hourly sync tick: only rows that changed move; deleted and merged-away profiles lose their rows.

    Returns the `uuid_ts` of the tick.
    """
    known = happened.before.by_id
    before = [*happened.gone.values(), *(known[key] for key in happened.changed if key in known)]
    with open_store(url, schema) as store:
        at = (store.last_tick() or BACKFILL) + timedelta(hours=1)
        with _Engine(_first_sequence(at), at, at - _LATE) as engine:
            merged = {known[gone].segment_id for _, gone in happened.merged}
            engine.move(store, _profiles(before), _profiles(list(happened.changed.values())), merged)
    return at


def _first_sequence(at: datetime) -> int:
    return int((at - datetime.fromisoformat("2020-01-01T00:00:00")).total_seconds()) * 1_000_000


def _profiles(people: list[Person]) -> pa.Table:
    """One row a profile: ids, the two halves of its identifiers, and one column for each trait and audience flag."""
    columns: dict[str, pa.Array] = {"segment_id": pa.array([p.segment_id for p in people], pa.string())}
    identifiers = [list(person.identifiers()) for person in people]
    lists = pa.list_(pa.string())
    columns["merged_segment_ids"] = pa.array([p.merged_segment_ids for p in people], lists)
    columns["types"] = pa.array([[kind for kind, _ in pairs] for pairs in identifiers], lists)
    columns["values"] = pa.array([[value for _, value in pairs] for pairs in identifiers], lists)
    for name in TRAITS:
        columns[name] = pa.array([p.traits.get(name) for p in people], pa.string())
    for key in AUDIENCE_FLAGS:
        flags = pa.array([p.memberships.get(key) for p in people], pa.bool_())
        columns[key] = flags.cast(pa.string())
    return pa.table(columns)


class _Engine:
    """An in-memory DuckDB that turns profiles into the rows of each table, stamped for one sync tick."""

    def __init__(self, first: int, at: datetime, happened: datetime | None):
        self._stamps = {"first": first, "at": at, "happened": happened}
        self._database = duckdb.connect()

    def __enter__(self) -> "_Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def backfill(self, store: Store, profiles: pa.Table) -> None:
        """Every row of every table."""
        for table, query in _MATERIALISED.items():
            store.insert(table, self._stamped(_STAMPED, self._rows(query, profiles)))
        self._append_raw(store, profiles, self._rows(_USER_IDENTIFIERS, profiles), self._rows(_ID_GRAPH, profiles))

    def move(self, store: Store, before: pa.Table, after: pa.Table, merged: set[str]) -> None:
        """The rows that differ: gone from the materialised tables or new there, and the raw updates that say so."""
        for table, query in _MATERIALISED.items():
            old, new = self._rows(query, before), self._rows(query, after)
            store.delete(table, self._except(old, new))
            store.insert(table, self._stamped(_STAMPED, self._except(new, old)))
        old_ids, new_ids = self._rows(_USER_IDENTIFIERS, before), self._rows(_USER_IDENTIFIERS, after)
        graph = self._except(self._rows(_ID_GRAPH, after), self._rows(_ID_GRAPH, before))
        self._append_raw(store, after, self._except(new_ids, old_ids), graph)
        kept = [identifier not in merged for identifier in old_ids["canonical_segment_id"].to_pylist()]
        removed = self._except(old_ids.filter(pa.array(kept, pa.bool_())), new_ids)
        store.insert("external_id_mapping_updates", self._stamped(_MAPPING_UPDATES, removed, operation="REMOVED"))

    def _append_raw(self, store: Store, profiles: pa.Table, identifiers: pa.Table, graph: pa.Table) -> None:
        store.insert("id_graph_updates", self._stamped(_GRAPH_UPDATES, graph))
        created = self._stamped(_MAPPING_UPDATES, identifiers, operation="CREATED")
        store.insert("external_id_mapping_updates", created)
        self._database.register("people", profiles)
        store.insert("profile_traits_updates", self._stamped(_TRAITS_UPDATES, profiles))

    def _rows(self, query: str, profiles: pa.Table) -> pa.Table:
        self._database.register("people", profiles)
        return self._database.sql(query).to_arrow_table()

    def _except(self, left: pa.Table, right: pa.Table) -> pa.Table:
        self._database.register("left_rows", left)
        self._database.register("right_rows", right)
        return self._database.sql("FROM left_rows EXCEPT FROM right_rows").to_arrow_table()

    def _stamped(self, query: str, rows: pa.Table, **more: str) -> pa.Table:
        self._database.register("found", rows)
        stamps = {name: value for name, value in {**self._stamps, **more}.items() if f"${name}" in query}
        return self._database.sql(query, params=stamps).to_arrow_table()
