"""Suppression lists: hashed identifiers of people who must not be in any audience."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

import sqlalchemy as sa

from cdp_bridge.entities import SuppressionCount
from cdp_bridge.store import tables
from cdp_bridge.store.database import CHUNK, Database, insert, structs_of

ROWS = 50_000


Entries = Iterable[tuple[str, bytes]]
"""(identifier column, 32-byte digest) each."""


def replace(database: Database, profile: str, entries: Entries, source: str) -> None:
    """Make `entries` the whole list of `source` for a profile in one transaction; repeats are no error."""
    table = tables.suppression
    with database.writing() as connection:
        connection.execute(sa.delete(table).where(table.c.profile == profile, table.c.source == source))
        _insert(connection, profile, entries, source)


def add(database: Database, by_profile: Mapping[str, Entries], source: str) -> None:
    """Add entries to the list of `source`, of all profiles in one transaction; repeats are no error."""
    with database.writing() as connection:
        for profile, entries in by_profile.items():
            _insert(connection, profile, entries, source)


def remove(database: Database, by_profile: Mapping[str, Entries], source: str) -> int:
    """Take entries out of the list of `source`, of all profiles in one transaction; how many were there."""
    table, removed = tables.suppression, 0
    with database.writing() as connection:
        for profile, entries in by_profile.items():
            of_list = (table.c.profile == profile) & (table.c.source == source)
            for name, digest in entries:
                statement = sa.delete(table).where(of_list, table.c.identifier == name, table.c.digest == digest)
                removed += connection.execute(statement).rowcount
    return removed


def counts(database: Database) -> list[SuppressionCount]:
    """How many entries each list has, by source and profile."""
    table = tables.suppression
    query = (
        sa.select(table.c.source, table.c.profile, sa.func.count().label("count"))
        .group_by(table.c.source, table.c.profile)
        .order_by(table.c.source, table.c.profile)
    )
    with database.reading() as connection:
        return structs_of(SuppressionCount, connection.execute(query).all())


def entries(database: Database, profile: str) -> Iterator[list[tuple[str, bytes]]]:
    """The entries of all lists of a profile, each once, in chunks."""
    table = tables.suppression
    query = sa.select(table.c.identifier, table.c.digest).where(table.c.profile == profile).distinct()
    with database.reading() as connection:
        rows = connection.execution_options(yield_per=ROWS).execute(query)
        for partition in rows.partitions():
            yield [tuple(row) for row in partition]


def _insert(connection: sa.Connection, profile: str, entries: Entries, source: str) -> None:
    rows = iter(
        {"profile": profile, "source": source, "identifier": name, "digest": digest} for name, digest in entries
    )
    while chunk := list(islice(rows, CHUNK)):
        connection.execute(insert(connection, tables.suppression).on_conflict_do_nothing(), chunk)
