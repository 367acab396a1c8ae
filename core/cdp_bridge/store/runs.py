"""What happened and how far reading has come: runs, segments, cursors."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from ..entities import CDPSegment, SyncLog
from . import tables
from .database import Database, struct_of


def newest(database: Database, audience: str | None, limit: int) -> list[SyncLog]:
    """The newest runs, of one audience or of all."""
    wanted = sa.select(tables.run).order_by(tables.run.c.sync_timestamp.desc(), tables.run.c.run_id.desc()).limit(limit)
    if audience is not None:
        wanted = wanted.where(tables.run.c.audience == audience)
    with database.reading() as connection:
        return [struct_of(SyncLog, row) for row in connection.execute(wanted)]


def one(database: Database, run_id: str) -> SyncLog | None:
    """The run of that id, or None."""
    with database.reading() as connection:
        row = connection.execute(sa.select(tables.run).where(tables.run.c.run_id == run_id)).first()
    return struct_of(SyncLog, row) if row else None


def segments(database: Database) -> list[CDPSegment]:
    """All segments, by connection and id."""
    wanted = sa.select(tables.segment).order_by(tables.segment.c.connection, tables.segment.c.segment_id)
    with database.reading() as connection:
        return [struct_of(CDPSegment, row) for row in connection.execute(wanted)]


def cursor(database: Database, connection_name: str, stream: str, segment: str | None) -> dict[str, Any] | None:
    """The saved state, or None."""
    table = tables.cursor
    key = (table.c.connection == connection_name) & (table.c.stream == stream) & (table.c.segment == (segment or ""))
    with database.reading() as connection:
        state: dict[str, Any] | None = connection.execute(sa.select(table.c.state).where(key)).scalar()
    return state
