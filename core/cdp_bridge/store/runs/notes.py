"""Log lines and progress of runs under way, for those who watch them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from cdp_bridge.entities import RunNote
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, structs_of

MAX_NOTES = 1_000
"""Notes of one run; later ones are not saved."""
_table = tables.run_note


class Notes:
    """The notes of a store, by run request; only the one worker that holds a request writes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, request_id: str, **note: Any) -> None:
        """Add a note with these fields of a `RunNote`."""
        newest = sa.select(sa.func.coalesce(sa.func.max(_table.c.number), 0)).where(_table.c.request_id == request_id)
        with self._database.writing() as connection:
            number = connection.execute(newest).scalar_one() + 1
            if number <= MAX_NOTES:
                added = RunNote(number=number, at=datetime.fromtimestamp(self._database.clock(), UTC), **note)
                row = {name: getattr(added, name) for name in added.__struct_fields__}
                connection.execute(sa.insert(_table), {"request_id": request_id, **row})

    def after(self, request_id: str, number: int) -> list[RunNote]:
        """The notes of a request that came later than one."""
        query = (
            sa.select(_table)
            .where(_table.c.request_id == request_id, _table.c.number > number)
            .order_by(_table.c.number)
        )
        with self._database.reading() as connection:
            return structs_of(RunNote, connection.execute(query).all())
