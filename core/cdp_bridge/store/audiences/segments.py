"""Segments as the CDPs last listed them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from msgspec.structs import replace

from cdp_bridge.entities import CDPSegment
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, row_of, structs_of, upsert

RECENT = timedelta(days=1)
"""Older lists say little about which segments there are."""

_segment, _listing = tables.segment, tables.segment_listing


def everything(database: Database) -> list[CDPSegment]:
    """All segments, by connection and id."""
    query = sa.select(_segment).order_by(_segment.c.connection, _segment.c.segment_id)
    with database.reading() as connection:
        return structs_of(CDPSegment, connection.execute(query).all())


def record(database: Database, of_connection: str, listed: Sequence[CDPSegment], *, whole: bool) -> list[CDPSegment]:
    """See `Store.record_segments`."""
    query = sa.select(_segment).where(_segment.c.connection == of_connection).with_for_update()
    with database.writing() as connection:
        rows = connection.execute(query).all()
        known = {segment.segment_id: segment for segment in structs_of(CDPSegment, rows)}
        merged = {segment.segment_id: _merged(segment, known.get(segment.segment_id, segment)) for segment in listed}
        now = datetime.fromtimestamp(database.clock(), UTC)
        gone = [
            replace(segment, gone_since=now)
            for name, segment in known.items()
            if whole and name not in merged and segment.gone_since is None
        ]
        upsert(connection, _segment, [row_of(_segment, segment) for segment in (*merged.values(), *gone)])
        if whole:
            upsert(connection, _listing, [{"connection": of_connection, "listed_at": now}])
        else:
            connection.execute(sa.delete(_listing).where(_listing.c.connection == of_connection))
    return list(merged.values())


def listings(database: Database) -> dict[str, datetime]:
    """See `Store.segment_listings`."""
    since = datetime.fromtimestamp(database.clock(), UTC) - RECENT
    query = sa.select(_listing).where(_listing.c.listed_at >= since)
    with database.reading() as connection:
        return {row.connection: row.listed_at for row in connection.execute(query)}


def _merged(listed: CDPSegment, before: CDPSegment) -> CDPSegment:
    count = before.member_count if listed.member_count is None else listed.member_count
    return replace(before, segment_name=listed.segment_name, member_count=count, gone_since=None)
