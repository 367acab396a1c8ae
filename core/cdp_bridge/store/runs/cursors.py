"""Reads the cursors of syncs; a `Transaction` moves them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from cdp_bridge.store import tables
from cdp_bridge.store.database import Database

_cursor = tables.cursor


def get(database: Database, sync: str, stream: str, segment: str | None) -> dict[str, Any] | None:
    """The saved state, or None."""
    is_it = (_cursor.c.sync == sync) & (_cursor.c.stream == stream) & (_cursor.c.segment == (segment or ""))
    with database.reading() as connection:
        state: dict[str, Any] | None = connection.execute(sa.select(_cursor.c.state).where(is_it)).scalar()
    return state
