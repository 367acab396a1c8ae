"""What happened and how far reading has come: runs, segments, cursors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace

from cdp_bridge.entities import CDPSegment, SyncLog
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, by_chunks, row_of, struct_of, structs_of, upsert

_candidate = tables.run.alias()
_newest = (
    sa.select(_candidate.c.run_id)
    .where(_candidate.c.audience == tables.activation.c.name)
    .order_by(_candidate.c.sync_timestamp.desc(), _candidate.c.run_id.desc())
    .limit(1)
)
# Made once: it takes as long as to run it.
_LAST = (
    sa.select(tables.run)
    .select_from(tables.activation.join(tables.run, tables.run.c.run_id == _newest.scalar_subquery()))
    .where(tables.activation.c.name.in_(sa.bindparam("names", expanding=True)))
)


def newest(database: Database, audience: str | None, limit: int) -> list[SyncLog]:
    """The newest runs, of one audience or of all."""
    wanted = sa.select(tables.run).order_by(tables.run.c.sync_timestamp.desc(), tables.run.c.run_id.desc()).limit(limit)
    if audience is not None:
        wanted = wanted.where(tables.run.c.audience == audience)
    with database.reading() as connection:
        return structs_of(SyncLog, connection.execute(wanted).all())


def last(database: Database, audiences: Sequence[str]) -> dict[str, SyncLog]:
    """The newest run of each of these configured audiences that has one."""
    with database.reading() as connection:
        rows = [row for chunk in by_chunks(audiences) for row in connection.execute(_LAST, {"names": chunk}).all()]
    return {log.audience: log for log in structs_of(SyncLog, rows)}


def one(database: Database, run_id: str) -> SyncLog | None:
    """The run of that id, or None."""
    with database.reading() as connection:
        row = connection.execute(sa.select(tables.run).where(tables.run.c.run_id == run_id)).first()
    return struct_of(SyncLog, row) if row else None


def segments(database: Database) -> list[CDPSegment]:
    """All segments, by connection and id."""
    wanted = sa.select(tables.segment).order_by(tables.segment.c.connection, tables.segment.c.segment_id)
    with database.reading() as connection:
        return structs_of(CDPSegment, connection.execute(wanted).all())


def see_segments(
    database: Database, connection_name: str, seen: Sequence[CDPSegment], *, whole: bool
) -> list[CDPSegment]:
    """See `Store.see_segments`."""
    mine = sa.select(tables.segment).where(tables.segment.c.connection == connection_name)
    with database.writing() as connection:
        rows = connection.execute(mine.with_for_update()).all()
        known = {one.segment_id: one for one in structs_of(CDPSegment, rows)}
        found = {one.segment_id: _seen(one, known.get(one.segment_id, one)) for one in seen}
        missing = [one for name, one in known.items() if whole and name not in found and one.gone_since is None]
        now = datetime.fromtimestamp(database.clock(), UTC)
        gone = [replace(one, gone_since=now) for one in missing]
        upsert(connection, tables.segment, [row_of(tables.segment, one) for one in (*found.values(), *gone)])
    return list(found.values())


def _seen(listed: CDPSegment, before: CDPSegment) -> CDPSegment:
    count = before.member_count if listed.member_count is None else listed.member_count
    return replace(before, segment_name=listed.segment_name, member_count=count, gone_since=None)


def cursor(database: Database, sync: str, stream: str, segment: str | None) -> dict[str, Any] | None:
    """The saved state, or None."""
    table = tables.cursor
    key = (table.c.sync == sync) & (table.c.stream == stream) & (table.c.segment == (segment or ""))
    with database.reading() as connection:
        state: dict[str, Any] | None = connection.execute(sa.select(table.c.state).where(key)).scalar()
    return state
