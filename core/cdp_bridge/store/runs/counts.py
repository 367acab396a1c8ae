"""Counts of runs, requests and dead letters, for metrics."""

from __future__ import annotations

from datetime import datetime
from typing import Any, get_args

import sqlalchemy as sa

from cdp_bridge.entities import RequestState
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database

_SUCCEEDED: RequestState = "succeeded"
_OTHERS = [state for state in get_args(RequestState) if state != _SUCCEEDED]


class Counts:
    """The counts of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def runs(self) -> dict[str, int]:
        """Recorded runs by status."""
        return self._by_state(tables.run.c.status)

    def requests(self) -> dict[str, int]:
        """Run requests by state."""
        return self._by_state(tables.run_request.c.state)

    def oldest_queued(self) -> datetime | None:
        """When the request was made that has been queued longest."""
        table = tables.run_request
        oldest = sa.select(sa.func.min(table.c.requested_at)).where(table.c.state == "queued")
        with self._database.reading() as connection:
            requested_at: datetime | None = connection.execute(oldest).scalar()
        return requested_at

    def dead_letters(self) -> dict[str, int]:
        """Refused members by audience."""
        return self._by(tables.audience.c.name, tables.dead_letter.join(tables.audience))

    def last_successes(self) -> dict[str, datetime]:
        """When the newest successful run of each configured audience began."""
        table, name = tables.run, tables.activation.c.name
        mine = (table.c.audience == name) & (table.c.status == "succeeded")
        newest = sa.select(table.c.sync_timestamp).where(mine).order_by(table.c.sync_timestamp.desc()).limit(1)
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(name, newest.scalar_subquery()))
            return {row[0]: row[1] for row in rows if row[1]}

    def _by_state(self, column: sa.Column[Any]) -> dict[str, int]:
        """Rows by the state in a column; the succeeded ones, nearly all, are counted as the rest of the whole table.

        SQLite counts a whole table without looking at its rows.
        """
        others = sa.select(column, sa.func.count()).where(column.in_(_OTHERS)).group_by(column)
        with self._database.reading() as connection:
            counts: dict[str, int] = {row[0]: row[1] for row in connection.execute(others)}
            everything = connection.execute(sa.select(sa.func.count()).select_from(column.table)).scalar_one()
        succeeded = everything - sum(counts.values())
        return {**counts, _SUCCEEDED: succeeded} if succeeded else counts

    def _by(self, column: sa.Column[Any], source: sa.FromClause) -> dict[str, int]:
        query = sa.select(column, sa.func.count()).select_from(source)
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query.group_by(column))}
