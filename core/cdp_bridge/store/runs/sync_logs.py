"""Reads the records of runs."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from cdp_bridge.entities import SyncLog
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, by_chunks, struct_of, structs_of

_run, _other = tables.run, tables.run.alias()
_newest_id = (
    sa.select(_other.c.run_id)
    .where(_other.c.audience == tables.activation.c.name)
    .order_by(_other.c.sync_timestamp.desc(), _other.c.run_id.desc())
    .limit(1)
)
# Made once: it takes as long as to run it.
_LAST = (
    sa.select(_run)
    .select_from(tables.activation.join(_run, _run.c.run_id == _newest_id.scalar_subquery()))
    .where(tables.activation.c.name.in_(sa.bindparam("names", expanding=True)))
)


def newest(database: Database, audience: str | None, limit: int) -> list[SyncLog]:
    """The newest runs, of one audience or of all."""
    query = sa.select(_run).order_by(_run.c.sync_timestamp.desc(), _run.c.run_id.desc()).limit(limit)
    if audience is not None:
        query = query.where(_run.c.audience == audience)
    with database.reading() as connection:
        return structs_of(SyncLog, connection.execute(query).all())


def last(database: Database, audiences: Sequence[str]) -> dict[str, SyncLog]:
    """The newest run of each of these configured audiences that has one."""
    with database.reading() as connection:
        rows = [row for chunk in by_chunks(audiences) for row in connection.execute(_LAST, {"names": chunk}).all()]
    return {log.audience: log for log in structs_of(SyncLog, rows)}


def get(database: Database, run_id: str) -> SyncLog | None:
    """The run of that id, or None."""
    with database.reading() as connection:
        row = connection.execute(sa.select(_run).where(_run.c.run_id == run_id)).first()
    return struct_of(SyncLog, row) if row else None
