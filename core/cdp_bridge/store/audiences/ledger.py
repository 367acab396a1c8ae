"""The ledger: what the platform has acknowledged, member by member, written and read in chunks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, by_chunks
from cdp_bridge.store.values import Acknowledgement, Member, MemberRow
from cdp_bridge.texts.storable import storable

ROWS = 50_000
"""Rows of one chunk of `fingerprints`; whole members come in smaller ones."""
MEMBERS = 10_000

# One statement for many members, with their blobs one after another: SQLite goes through them faster than Python.
_INSERT = """
    INSERT INTO member (audience_id, member_key, fingerprint, user_id, identifiers, outcome, acknowledged_at)
    SELECT ?8, substr(?1, 1 + key * ?2, ?2), coalesce(substr(?3, 1 + key * ?4, ?4), x''), value,
    coalesce(substr(?5, 1 + key * ?6, ?6), x''), ?9, ?10
    FROM json_each(?7) WHERE true
    ON CONFLICT (audience_id, member_key) DO UPDATE SET fingerprint = excluded.fingerprint, user_id = excluded.user_id,
    identifiers = excluded.identifiers, outcome = excluded.outcome, acknowledged_at = excluded.acknowledged_at
"""
_STAGE = "CREATE TEMP TABLE IF NOT EXISTS staged (LIKE member) ON COMMIT DELETE ROWS"
_COPY = """
    COPY staged (audience_id, member_key, fingerprint, user_id, identifiers, outcome, acknowledged_at)
    FROM STDIN (FORMAT BINARY)
"""
_COPY_TYPES = ("int4", "bytea", "bytea", "text", "bytea", "text", "int8")
_MERGE = """
    INSERT INTO member (audience_id, member_key, fingerprint, user_id, identifiers, outcome, acknowledged_at)
    SELECT audience_id, member_key, fingerprint, user_id, identifiers, outcome, acknowledged_at FROM staged
    ON CONFLICT (audience_id, member_key) DO UPDATE SET fingerprint = excluded.fingerprint, user_id = excluded.user_id,
    identifiers = excluded.identifiers, outcome = excluded.outcome, acknowledged_at = excluded.acknowledged_at
"""


class Ledger:
    """The ledger of every audience, for reading; `audience` is the activation's name, an unknown one is empty."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, audience: str, outcome: Acknowledgement | None = None) -> int:
        """How many members the audience has, or only those acknowledged in this way."""
        counted = sa.select(sa.func.count()).select_from(tables.member).where(_of(audience))
        if outcome is not None:
            counted = counted.where(tables.member.c.outcome == outcome)
        with self._database.reading() as connection:
            return connection.execute(counted).scalar_one()

    def fingerprints(self, audience: str, since: datetime | None = None) -> Iterator[list[tuple[bytes, bytes]]]:
        """All (member_key, fingerprint) in member_key order, in chunks, as of one moment.

        What was acknowledged before `since` has an empty fingerprint, like a row in doubt.
        """
        fingerprint: sa.ColumnElement[bytes] = tables.member.c.fingerprint
        if since is not None:
            is_old = tables.member.c.acknowledged_at < since
            fingerprint = sa.case((is_old, sa.literal(b"")), else_=fingerprint)
        query = sa.select(tables.member.c.member_key, fingerprint).where(_of(audience))
        with self._database.reading() as connection:
            yield from _pages(connection, query, ROWS)

    def rows(self, audience: str, keys: Sequence[bytes]) -> list[Member]:
        """The members among `keys`, any number of them, in no order; unknown keys are left out."""
        members: list[Member] = []
        with self._database.reading() as connection:
            for chunk in by_chunks(keys):
                query = _members(audience).where(tables.member.c.member_key.in_(chunk))
                members += map(_member, _fetch(connection, query))
        return members

    def members(self, audience: str) -> Iterator[list[Member]]:
        """All members in member_key order, in chunks, as of one moment."""
        with self._database.reading() as connection:
            for rows in _pages(connection, _members(audience), MEMBERS):
                yield list(map(_member, rows))


def put(
    connection: sa.Connection, audience_id: int, members: Sequence[MemberRow], outcome: Acknowledgement, at: datetime
) -> None:
    """Insert or replace members of one audience."""
    if not members:
        return
    moment = tables.microseconds(at)
    if connection.dialect.name == "postgresql":
        rows = ((key, digest, user and storable(user), packed) for key, digest, user, packed in members)
        _copy(connection, [(audience_id, *row, outcome, moment) for row in rows])
        return
    for same in _by_lengths(members):
        keys, fingerprints, users, identifiers = zip(*same, strict=True)
        blobs = (b"".join(keys), len(keys[0]), b"".join(fingerprints), len(fingerprints[0]))
        packed = (b"".join(identifiers), len(identifiers[0]))
        row = (*blobs, *packed, msgspec.json.encode(users).decode(), audience_id, outcome, moment)
        connection.exec_driver_sql(_INSERT, row)


def _by_lengths(members: Sequence[MemberRow]) -> Iterable[list[MemberRow]]:
    """Groups of members whose blobs have the same lengths, which one statement can insert."""
    groups: dict[tuple[int, int, int], list[MemberRow]] = defaultdict(list)
    for member in members:
        groups[len(member[0]), len(member[1]), len(member[3])].append(member)
    return groups.values()


def _copy(connection: sa.Connection, rows: list[tuple[Any, ...]]) -> None:
    """Insert or replace by COPY, many times faster than INSERT; it cannot replace, so it fills a temporary table."""
    connection.exec_driver_sql(_STAGE)
    driver: Any = connection.connection.dbapi_connection
    with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_COPY_TYPES)
        for row in rows:
            copy.write_row(row)
    connection.exec_driver_sql(_MERGE)
    connection.exec_driver_sql("TRUNCATE staged")


def _members(audience: str) -> sa.Select[Any]:
    names = ("member_key", "fingerprint", "user_id", "identifiers", "outcome", "acknowledged_at")
    return sa.select(*(tables.member.c[name] for name in names)).where(_of(audience))


def _member(row: tuple[Any, ...]) -> Member:
    key, fingerprint, user_id, identifiers, outcome, at = row
    return Member(key, fingerprint, user_id, identifiers, outcome, tables.moment(at))


def _pages(connection: sa.Connection, query: sa.Select[Any], size: int) -> Iterator[list[Any]]:
    """The rows in member_key (their first column) order, so many at a time: flat memory without server-side cursors."""
    key, last = tables.member.c.member_key, b""
    while rows := _fetch(connection, query.where(key > last).order_by(key).limit(size)):
        yield rows
        last = rows[-1][0]


def _fetch(connection: sa.Connection, query: sa.Select[Any]) -> list[Any]:
    """The driver's own rows: SQLAlchemy's would take longer to make than the whole query."""
    with connection.execute(query) as result:
        cursor: Any = result.cursor
        return list(cursor.fetchall())


def _of(audience: str) -> sa.ColumnElement[bool]:
    audience_id = sa.select(tables.audience.c.id).where(tables.audience.c.name == audience).scalar_subquery()
    return tables.member.c.audience_id == audience_id
