"""Who changed what, and when; never with a secret."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from msgspec import Struct, field

from cdp_bridge.entities import AuditEntry, FieldChange
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, row_of, structs_of

_table = tables.audit


class AuditRecord(Struct, frozen=True, kw_only=True):
    """An entry before it is written down; see `AuditEntry`."""

    who: str
    action: str
    kind: str
    name: str
    changes: list[FieldChange] = field(default_factory=list)


class Audit:
    """The audit log of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: AuditRecord) -> None:
        """Write an entry in a transaction of its own, before that which it is about."""
        with self._database.writing() as connection:
            write(connection, [record], self._database.clock())

    def newest(self, before: int | None = None, limit: int = 50) -> list[AuditEntry]:
        """Entries, newest first, from below a number."""
        wanted = sa.select(_table, _table.c.id.label("number")).order_by(_table.c.id.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(_table.c.id < before)
        with self._database.reading() as connection:
            return structs_of(AuditEntry, connection.execute(wanted).all())


def write(connection: sa.Connection, records: list[AuditRecord], now: float) -> None:
    """Write entries in a transaction that is open."""
    at = datetime.fromtimestamp(now, UTC)
    if records:
        connection.execute(sa.insert(_table), [row_of(_table, record, at=at) for record in records])
