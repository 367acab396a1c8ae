"""What the platform has acknowledged, member by member: a million rows in, out and compared, in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from . import tables
from .database import Database, by_chunks, struct_of
from .values import Acknowledgement, Member, MemberRow

ROWS = 50_000
"""Rows of one chunk of `fingerprints`; whole members come in smaller ones."""
MEMBERS = 10_000

_COLUMNS = "audience_id, member_key, fingerprint, user_id, identifiers, outcome, acknowledged_at"
_REPLACE = (
    "ON CONFLICT (audience_id, member_key) DO UPDATE SET fingerprint = excluded.fingerprint, user_id = excluded.user_id, "
    "identifiers = excluded.identifiers, outcome = excluded.outcome, acknowledged_at = excluded.acknowledged_at"
)


class Ledger:
    """The ledger of every audience, for reading; `audience` is the activation's name, an unknown one is empty."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, audience: str) -> int:
        """How many members the audience has."""
        with self._database.reading() as connection:
            return connection.execute(sa.select(sa.func.count()).where(_of(audience))).scalar_one()

    def fingerprints(self, audience: str) -> Iterator[list[tuple[bytes, bytes]]]:
        """All (member_key, fingerprint) in member_key order, in chunks, as of one moment."""
        yield from self._stream(audience, ROWS, tables.member.c.member_key, tables.member.c.fingerprint)

    def rows(self, audience: str, keys: Sequence[bytes]) -> list[Member]:
        """The members among `keys`, any number of them, in no order; unknown keys are left out."""
        found: list[Member] = []
        with self._database.reading() as connection:
            for chunk in by_chunks(keys):
                where = _of(audience) & tables.member.c.member_key.in_(chunk)
                found.extend(
                    struct_of(Member, row) for row in connection.execute(sa.select(tables.member).where(where))
                )
        return found

    def members(self, audience: str) -> Iterator[list[Member]]:
        """All members in member_key order, in chunks, as of one moment."""
        for rows in self._stream(audience, MEMBERS, tables.member):
            yield [struct_of(Member, row) for row in rows]

    def _stream(self, audience: str, size: int, *columns: Any) -> Iterator[list[Any]]:
        wanted = sa.select(*columns).where(_of(audience)).order_by(tables.member.c.member_key)
        with self._database.reading() as connection:
            rows = connection.execution_options(yield_per=size).execute(wanted)
            for partition in rows.partitions():
                yield list(partition)


def put(
    connection: sa.Connection, audience_id: int, members: Sequence[MemberRow], outcome: Acknowledgement, at: datetime
) -> None:
    """Insert or replace members of one audience."""
    if not members:
        return
    moment = tables.Instant().process_bind_param(at, connection.dialect)
    rows = [(audience_id, *row, outcome, moment) for row in members]
    if connection.dialect.name == "postgresql":
        _copy(connection, rows)
    else:
        connection.exec_driver_sql(f"INSERT INTO member ({_COLUMNS}) VALUES (?,?,?,?,?,?,?) {_REPLACE}", rows)


def _copy(connection: sa.Connection, rows: list[tuple[Any, ...]]) -> None:
    """COPY is many times faster than INSERT but cannot replace, so it fills a table of this session first."""
    connection.exec_driver_sql("CREATE TEMP TABLE IF NOT EXISTS staged (LIKE member) ON COMMIT DELETE ROWS")
    cursor = connection.connection.cursor()
    try:
        with cursor.copy(f"COPY staged ({_COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["int4", "bytea", "bytea", "text", "bytea", "text", "int8"])
            for row in rows:
                copy.write_row(row)
    finally:
        cursor.close()
    connection.exec_driver_sql(
        f"INSERT INTO member ({_COLUMNS}) SELECT {_COLUMNS} FROM staged ORDER BY member_key {_REPLACE}"
    )
    connection.exec_driver_sql("TRUNCATE staged")


def _of(audience: str) -> sa.ColumnElement[bool]:
    found = sa.select(tables.audience.c.id).where(tables.audience.c.name == audience).scalar_subquery()
    return tables.member.c.audience_id == found
