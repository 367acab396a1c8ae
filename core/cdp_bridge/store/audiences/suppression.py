"""Suppression lists: hashed identifiers of people who must not be in any audience."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import sqlalchemy as sa

from cdp_bridge.entities import SuppressionCount
from cdp_bridge.store import tables
from cdp_bridge.store.database import CHUNK, Database, insert, structs_of

ROWS = 50_000


Entries = Iterable[tuple[str, bytes]]
"""(identifier column, 32-byte digest) each."""


def replace(database: Database, entries: Entries, source: str) -> None:
    """Make `entries` the whole list of `source` in one transaction; repeats are no error."""
    table = tables.suppression
    with database.writing() as connection:
        connection.execute(sa.delete(table).where(table.c.source == source))
        _insert(connection, entries, source)


def add(database: Database, entries: Entries, source: str) -> None:
    """Add entries to the list of `source` in one transaction; repeats are no error."""
    with database.writing() as connection:
        _insert(connection, entries, source)


def remove(database: Database, entries: Entries, source: str) -> int:
    """Take entries out of the list of `source` in one transaction; how many were there."""
    table, removed = tables.suppression, 0
    with database.writing() as connection:
        for name, digest in entries:
            same = (table.c.source == source, table.c.identifier == name, table.c.digest == digest)
            removed += connection.execute(sa.delete(table).where(*same)).rowcount
    return removed


def counts(database: Database) -> list[SuppressionCount]:
    """How many entries each list has, by source."""
    table = tables.suppression
    counted = sa.select(table.c.source, sa.func.count().label("count"))
    query = counted.group_by(table.c.source).order_by(table.c.source)
    with database.reading() as connection:
        return structs_of(SuppressionCount, connection.execute(query).all())


def entries(database: Database) -> Iterator[list[tuple[str, bytes]]]:
    """The entries of all lists, each once, in chunks."""
    table = tables.suppression
    query = sa.select(table.c.identifier, table.c.digest).distinct()
    with database.reading() as connection:
        rows = connection.execution_options(yield_per=ROWS).execute(query)
        for partition in rows.partitions():
            yield [tuple(row) for row in partition]


def _insert(connection: sa.Connection, entries: Entries, source: str) -> None:
    rows = iter({"source": source, "identifier": name, "digest": digest} for name, digest in entries)
    while chunk := list(islice(rows, CHUNK)):
        connection.execute(insert(connection, tables.suppression).on_conflict_do_nothing(), chunk)
