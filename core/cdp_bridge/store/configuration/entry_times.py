"""When each entry of the configuration was created, and when it was last changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa

from cdp_bridge.entities import EntryKind
from cdp_bridge.store import tables
from cdp_bridge.store.access.audit import AuditRecord
from cdp_bridge.store.database import Database

_table = tables.entry_time
_is_entry = (_table.c.kind == sa.bindparam("of_kind")) & (_table.c.name == sa.bindparam("of_name"))
_deletion = sa.delete(_table).where(_is_entry)
_change = sa.update(_table).where(_is_entry).values(updated_at=sa.bindparam("at"))


class EntryTimes(NamedTuple):
    """When an entry was created, and when a field of it was last changed."""

    created_at: datetime
    updated_at: datetime


def all_times(database: Database, kind: EntryKind) -> dict[str, EntryTimes]:
    """The times of all entries of a kind, by name."""
    query = sa.select(_table.c.name, _table.c.created_at, _table.c.updated_at).where(_table.c.kind == kind)
    with database.reading() as connection:
        return {row.name: EntryTimes(row.created_at, row.updated_at) for row in connection.execute(query)}


def note(connection: sa.Connection, records: Iterable[AuditRecord], now: float) -> None:
    """Follow what was done to entries, in a transaction that is open."""
    at = datetime.fromtimestamp(now, UTC)
    deleted, created, changed = list[dict[str, str]](), list[dict[str, object]](), list[dict[str, object]]()
    for record in records:
        entry = {"of_kind": record.kind, "of_name": record.name}
        if record.action == "create":
            created.append({"kind": record.kind, "name": record.name, "created_at": at, "updated_at": at})
        if record.action in ("create", "delete"):
            deleted.append(entry)
        elif record.changes:
            changed.append({**entry, "at": at})
    for statement, rows in ((_deletion, deleted), (sa.insert(_table), created), (_change, changed)):
        if rows:
            connection.execute(statement, rows)
