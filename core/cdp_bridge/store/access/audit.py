"""Who did what, and when, never with a secret: entries in a chain of digests, so that a change shows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import Struct, field

from cdp_bridge.entities import AuditEntry, FieldChange
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, row_of, struct_of, structs_of
from cdp_bridge.store.window import Window, statement

PAGE = 1_000
_NEWEST = Window()
_table = tables.audit
_entries = sa.select(_table, _table.c.id.label("number"))
# Any number, as long as nothing else in the store locks it.
_LOCK = 7_001


class AuditRecord(Struct, frozen=True, kw_only=True):
    """An entry before it is written down; see `AuditEntry`."""

    who: str
    action: str
    kind: str
    name: str
    changes: list[FieldChange] = field(default_factory=list)


class Chain(Struct, frozen=True):
    """How many entries are in the chain, the newest digest, and the numbers of entries that were changed.

    An entry counts as changed, too, where the one before it was taken out. That the newest ones are missing shows only
    against a digest that was kept elsewhere.
    """

    length: int = 0
    newest: bytes = b""
    changed: tuple[int, ...] = ()


class Audit:
    """The audit log of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: AuditRecord) -> None:
        """Write an entry in a transaction of its own, before that which it is about."""
        with self._database.writing() as connection:
            write(connection, [record], self._database.clock())

    def listed(self, window: Window = _NEWEST, **fields: str | None) -> list[AuditEntry]:
        """Entries with these values of `who`, `action`, `kind` and `name` (None: any), by number."""
        given = [_table.c[name] == value for name, value in fields.items() if value is not None]
        wanted = statement(_entries.where(*given), _table.c.at, (_table.c.id,), window.shape)
        with self._database.reading() as connection:
            return structs_of(AuditEntry, connection.execute(wanted, window.parameters()).all())

    def all(self, after: int = 0) -> Iterator[tuple[AuditEntry, bytes | None]]:
        """The entries after a number, oldest first, each with its digest; None if there was no chain yet."""
        while rows := self._rows(after):
            yield from ((struct_of(AuditEntry, row), row.digest) for row in rows)
            after = rows[-1].number

    def verify(self) -> Chain:
        """Compute the chain anew; its oldest entry is taken as it is, since retention deletes what is before."""
        length, before, changed = 0, b"", list[int]()
        for entry, digest in self.all():
            if digest is None and not length:
                continue
            if length and digest != _digest(before, entry):
                changed.append(entry.number)
            length, before = length + 1, digest or b""
        return Chain(length, before, tuple(changed))

    def _rows(self, after: int) -> Sequence[sa.Row[Any]]:
        with self._database.reading() as connection:
            return connection.execute(_entries.where(_table.c.id > after).order_by(_table.c.id).limit(PAGE)).all()


def write(connection: sa.Connection, records: list[AuditRecord], now: float) -> None:
    """Write entries in a transaction that is open; others that write some wait for its end."""
    if not records:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    newest = sa.select(_table.c.digest).order_by(_table.c.id.desc()).limit(1)
    before, at = connection.scalar(newest) or b"", datetime.fromtimestamp(now, UTC)
    for record in records:
        before = _digest(before, AuditEntry(number=0, at=at, **msgspec.structs.asdict(record)))
        connection.execute(sa.insert(_table), row_of(_table, record, at=at, digest=before))


def _digest(before: bytes, entry: AuditEntry) -> bytes:
    content = [tables.microseconds(entry.at), entry.who, entry.action, entry.kind, entry.name, entry.changes]
    return hashlib.sha256(before + msgspec.json.encode(content, order="sorted")).digest()
