"""Hashed identifiers of people who must not be in any audience, list by list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import sqlalchemy as sa

from . import tables
from .database import CHUNK, Database, insert

ROWS = 50_000


def replace(database: Database, profile: str, entries: Iterable[tuple[str, bytes]], source: str) -> None:
    """Make `entries` the whole list of `source` for a profile in one transaction; repeats are no error."""
    table = tables.suppression
    rows = iter(
        {"profile": profile, "source": source, "identifier": name, "digest": digest} for name, digest in entries
    )
    with database.writing() as connection:
        connection.execute(sa.delete(table).where(table.c.profile == profile, table.c.source == source))
        while chunk := list(islice(rows, CHUNK)):
            connection.execute(insert(connection, table).on_conflict_do_nothing(), chunk)


def entries(database: Database, profile: str) -> Iterator[list[tuple[str, bytes]]]:
    """The entries of all lists of a profile, each once, in chunks."""
    table = tables.suppression
    wanted = sa.select(table.c.identifier, table.c.digest).where(table.c.profile == profile).distinct()
    with database.reading() as connection:
        rows = connection.execution_options(yield_per=ROWS).execute(wanted)
        for partition in rows.partitions():
            yield [tuple(row) for row in partition]
