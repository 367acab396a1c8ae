"""What the platform has acknowledged, member by member: a million rows in, out and compared, in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from . import tables
from .database import Database, by_chunks
from .values import Acknowledgement, Member, MemberRow

ROWS = 50_000
"""Rows of one chunk of `fingerprints`; whole members come in smaller ones."""
MEMBERS = 10_000

_INSERT = """
    INSERT INTO member (audience_id, member_key, fingerprint, user_id, identifiers, outcome, acknowledged_at)
    VALUES (?, ?, ?, ?, ?, ?, ?)
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

    def fingerprints(self, audience: str) -> Iterator[list[tuple[bytes, bytes]]]:
        """All (member_key, fingerprint) in member_key order, in chunks, as of one moment."""
        wanted = sa.select(tables.member.c.member_key, tables.member.c.fingerprint).where(_of(audience))
        with self._database.reading() as connection:
            yield from _pages(connection, wanted, ROWS)

    def rows(self, audience: str, keys: Sequence[bytes]) -> list[Member]:
        """The members among `keys`, any number of them, in no order; unknown keys are left out."""
        found: list[Member] = []
        with self._database.reading() as connection:
            for chunk in by_chunks(keys):
                wanted = _members(audience).where(tables.member.c.member_key.in_(chunk))
                found += map(_member, _fetch(connection, wanted))
        return found

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
    rows = [(audience_id, *row, outcome, moment) for row in members]
    if connection.dialect.name == "postgresql":
        _copy(connection, rows)
    else:
        connection.exec_driver_sql(_INSERT, rows)


def _copy(connection: sa.Connection, rows: list[tuple[Any, ...]]) -> None:
    """COPY is many times faster than INSERT but cannot replace, so it fills a table of this session first."""
    connection.exec_driver_sql(_STAGE)
    driver: Any = connection.connection.dbapi_connection
    with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_COPY_TYPES)
        for row in rows:
            copy.write_row(row)
    connection.exec_driver_sql(_MERGE)
    connection.exec_driver_sql("TRUNCATE staged")


def _members(audience: str) -> sa.Select[Any]:
    wanted = ("member_key", "fingerprint", "user_id", "identifiers", "outcome", "acknowledged_at")
    return sa.select(*(tables.member.c[name] for name in wanted)).where(_of(audience))


def _member(row: tuple[Any, ...]) -> Member:
    key, fingerprint, user_id, identifiers, outcome, at = row
    return Member(key, fingerprint, user_id, identifiers, outcome, tables.moment(at))


def _pages(connection: sa.Connection, wanted: sa.Select[Any], size: int) -> Iterator[list[Any]]:
    """The rows in member_key (their first column) order, so many at a time: flat memory without server-side cursors."""
    key, last = tables.member.c.member_key, b""
    while rows := _fetch(connection, wanted.where(key > last).order_by(key).limit(size)):
        yield rows
        last = rows[-1][0]


def _fetch(connection: sa.Connection, wanted: sa.Select[Any]) -> list[Any]:
    """The driver's own rows: making SQLAlchemy's of them would take longer than the whole query."""
    with connection.execute(wanted) as result:
        cursor: Any = result.cursor
        return list(cursor.fetchall())


def _of(audience: str) -> sa.ColumnElement[bool]:
    found = sa.select(tables.audience.c.id).where(tables.audience.c.name == audience).scalar_subquery()
    return tables.member.c.audience_id == found
