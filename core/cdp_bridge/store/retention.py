"""Deletes what is older than its retention, and overwrites deleted bytes on the disk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import sqlalchemy as sa
from msgspec import Meta, Struct

from cdp_bridge.errors import TransientError
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database
from cdp_bridge.store.failures import plainly

BATCH = 1_000
"""Rows that one transaction deletes, so that others wait only briefly."""
CONVERSION_DAYS = 100
"""Days for which sent conversions are remembered; those older than 90 days are not sent any more."""
Days = Annotated[int, Meta(ge=1, le=36_500)]


class Retention(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days for which things are kept.

    `runs` counts for match estimates, too; the newest run of an audience stays however old it is. A member whose dead
    letter is deleted is sent again.
    """

    runs: Days = 400
    requests: Days = 90
    dead_letters: Days = 90
    audit: Days = 400


class Pruned(Struct, frozen=True, kw_only=True):
    """How many rows were deleted."""

    runs: int
    match_estimates: int
    requests: int
    dead_letters: int
    audit: int
    secrets: int
    conversions: int


def prune(database: Database, keep: Retention) -> Pruned:
    """Delete what is older, a batch at a time; after a crash, the next call goes on."""
    now = datetime.fromtimestamp(database.clock(), UTC)
    run, newer = tables.run, tables.run.alias()
    newest = sa.select(sa.func.max(newer.c.sync_timestamp)).where(newer.c.audience == run.c.audience)
    feed, member = tables.activation, tables.member
    of_feeds = sa.select(tables.audience.c.id).join(feed, feed.c.name == tables.audience.c.name)
    of_feeds = of_feeds.where(feed.c.segment.is_(None))
    estimate = tables.match_estimate
    request, dead_letter, audit, secret = tables.run_request, tables.dead_letter, tables.audit, tables.secret
    young = sa.case((audit.c.at >= _days(now, keep.audit), audit.c.id))
    kept = sa.select(sa.func.coalesce(sa.func.min(young), sa.func.max(audit.c.id)))
    return Pruned(
        runs=_delete(
            database,
            run,
            (run.c.sync_timestamp < _days(now, keep.runs))
            & (run.c.sync_timestamp < newest.correlate(run).scalar_subquery()),
        ),
        match_estimates=_delete(database, estimate, estimate.c.at < _days(now, keep.runs)),
        requests=_delete(database, request, request.c.finished_at < _days(now, keep.requests)),
        dead_letters=_delete(database, dead_letter, dead_letter.c.created_at < _days(now, keep.dead_letters)),
        # From the oldest on, whatever the clocks said, and never the newest: their chain has no gap.
        audit=_delete(database, audit, audit.c.id < kept.scalar_subquery()),
        secrets=_delete(database, secret, secret.c.expires_at < now),
        conversions=_delete(
            database,
            member,
            member.c.audience_id.in_(of_feeds) & (member.c.acknowledged_at < _days(now, CONVERSION_DAYS)),
        ),
    )


def wipe(database: Database) -> None:
    """Rewrite SQLite's files without deleted bytes, which takes as much free space as they have.

    PostgreSQL does it itself. Raises TransientError when somebody reads for too long; nothing is lost then.
    """
    if database.path is None:
        return
    with plainly(database.place):
        # Not through SQLAlchemy, which would begin a transaction: SQLite can do neither inside one.
        raw = database.engine.raw_connection()
        try:
            cursor = raw.cursor()
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (busy, *_) = cursor.fetchall()[0]
        finally:
            raw.close()
    if busy:
        raise TransientError(f"{database.place}: somebody reads what was deleted; its bytes are still in the file")


def _days(now: datetime, days: int) -> datetime:
    return now - timedelta(days=days)


def _delete(database: Database, table: sa.Table, old: sa.ColumnElement[bool]) -> int:
    key = list(table.primary_key)
    # Not correlated: its own scan of the table, not the row that the DELETE looks at.
    oldest = sa.select(*key).where(old).limit(BATCH).correlate(None)
    statement = sa.delete(table).where(sa.tuple_(*key).in_(oldest) if len(key) > 1 else key[0].in_(oldest))
    deleted = 0
    while True:
        with database.writing() as connection:
            count = connection.execute(statement).rowcount
        deleted += count
        if count < BATCH:
            return deleted
