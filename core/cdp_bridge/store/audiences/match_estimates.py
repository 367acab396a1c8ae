"""Reads the platforms' own estimates of how many members they know."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from cdp_bridge.entities import MatchEstimate
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, by_chunks, structs_of
from cdp_bridge.store.window import Window, statement

_NEWEST = Window()
_table, _name = tables.match_estimate, tables.audience.c.name


class MatchEstimates:
    """The match estimates of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def listed(self, audience: str, window: Window = _NEWEST) -> list[MatchEstimate]:
        """What the platform has said of one audience and of its uploads, by `at` and `source`."""
        at = _table.c.at
        wanted = statement(_estimates().where(_name == audience), at, (at, _table.c.source), window.shape)
        with self._database.reading() as connection:
            return structs_of(MatchEstimate, connection.execute(wanted, window.parameters()).all())

    def last(self, audiences: Sequence[str]) -> dict[str, MatchEstimate]:
        """The newest estimate of each of these audiences that has one, of the whole audience and not of an upload."""
        newer = _table.alias()
        newest = sa.select(sa.func.max(newer.c.at)).where(
            newer.c.audience_id == _table.c.audience_id, newer.c.source == "audience"
        )
        query = _estimates().where(_table.c.source == "audience", _table.c.at == newest.scalar_subquery())
        with self._database.reading() as connection:
            rows = [
                row for names in by_chunks(audiences) for row in connection.execute(query.where(_name.in_(names))).all()
            ]
        return {estimate.audience: estimate for estimate in structs_of(MatchEstimate, rows)}


def _estimates() -> sa.Select[tuple[object, ...]]:
    return sa.select(_table, _name.label("audience")).join(tables.audience)
