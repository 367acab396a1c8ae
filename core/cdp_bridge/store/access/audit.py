"""Who changed what, and when; kept without any value."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from msgspec import Struct

from cdp_bridge.entities import AuditEntry
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, row_of, structs_of

_table = tables.audit


class AuditRecord(Struct, frozen=True, kw_only=True):
    """Something that somebody does; see `AuditEntry`."""

    who: str
    action: str
    what: str
    name: str
    before: str = ""
    after: str = ""


class Audit:
    """The audit log of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, deed: AuditRecord) -> None:
        """Write it down; done before the deed where it cannot be in one transaction with it."""
        with self._database.writing() as connection:
            record(connection, deed, self._database.clock())

    def newest(self, before: int | None = None, limit: int = 50) -> list[AuditEntry]:
        """Entries, newest first, from below a number."""
        wanted = sa.select(_table, _table.c.id.label("number")).order_by(_table.c.id.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(_table.c.id < before)
        with self._database.reading() as connection:
            return structs_of(AuditEntry, connection.execute(wanted).all())


def record(connection: sa.Connection, deed: AuditRecord, now: float) -> None:
    """Write a deed down in a transaction that is open."""
    connection.execute(sa.insert(_table), row_of(_table, deed, at=datetime.fromtimestamp(now, UTC)))
