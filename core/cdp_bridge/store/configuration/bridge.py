"""The bridge's configuration as the store keeps it: loaded whole, edited in one transaction with its audit entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from functools import cache
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec
import sqlalchemy as sa

from cdp_bridge.entities import (
    Activation,
    Bridge,
    CDPConnection,
    ConversionFeed,
    DataMapping,
    DestinationAccount,
    EntryKind,
)
from cdp_bridge.errors import ConfigError
from cdp_bridge.store import tables
from cdp_bridge.store.access import audit
from cdp_bridge.store.configuration import entry_times
from cdp_bridge.store.database import Database, row_of, structs_of

S = TypeVar("S", bound=msgspec.Struct)

_LOCK = 0x636470636F6E66  # "cdpconf": the advisory lock of those who change the configuration.

_HAS_SEGMENT = tables.activation.c.segment.is_not(None)
_HAS_NONE = tables.activation.c.segment.is_(None)
_NO_AUDIENCE: dict[str, Any] = {"segment": None, "audience_name": None, "removal_limit": 1.0}

# Each before those that it refers to.
_TABLES = (
    tables.activation,
    tables.data_mapping,
    tables.mapping,
    tables.destination,
    tables.connection,
    tables.suppression_list,
    tables.api_field,
)

Origin = Literal["file", "api"]


class ApiField(NamedTuple):
    """A field (dotted path) of an entry that was set through the API; the field `""` is the whole entry."""

    kind: EntryKind
    name: str
    field: str


class Origins:
    """Who set which field of one entry, by the fields that were set through the API."""

    def __init__(self, api_fields: Iterable[str]) -> None:
        self._fields = set(api_fields)
        self._around = {outer for field in self._fields for outer in _outwards(field)}

    def of(self, field: str) -> Origin:
        """`api` if the field, something in it or something around it was set through the API; `""` is the entry."""
        is_api = field in self._around or any(outer in self._fields for outer in _outwards(field))
        return "api" if is_api else "file"


class Configured(msgspec.Struct, frozen=True):
    """The configuration, and the fields of it that were set through the API; all others came from bridge.yaml."""

    bridge: Bridge
    api_fields: frozenset[ApiField] = frozenset()

    def origins(self, kind: EntryKind, name: str) -> Origins:
        """Who set which field of an entry."""
        return Origins(known.field for known in self.api_fields if (known.kind, known.name) == (kind, name))


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the configuration, the audit entries about it, and the secrets that nothing needs any more."""

    after: Configured
    records: list[audit.AuditRecord]
    dropped_secrets: Set[str] = frozenset()


def _outwards(field: str) -> list[str]:
    """The field and all that it is in, up to the entry."""
    names = field.split(".")
    return [".".join(names[:length]) for length in range(len(names) + 1)]


def load(database: Database) -> Bridge:
    """The configuration, everything in the order in which it was saved."""
    with database.reading() as connection:
        return _load(connection)


def configured(database: Database) -> Configured:
    """The configuration with the origin of its fields."""
    with database.reading() as connection:
        return _configured(connection)


def edit(database: Database, change: Callable[[Configured], Edit]) -> None:
    """Replace the configuration by that which `change` makes of it; see `Store.edit_bridge`."""
    with database.writing() as connection:
        _lock(connection)
        before = _configured(connection)
        made = change(before)
        _save(connection, before.bridge, made.after.bridge)
        rows = [field._asdict() for field in sorted(made.after.api_fields)]
        if rows:
            connection.execute(sa.insert(tables.api_field), rows)
        if made.dropped_secrets:
            connection.execute(sa.delete(tables.secret).where(tables.secret.c.name.in_(made.dropped_secrets)))
        now = database.clock()
        entry_times.note(connection, made.records, now)
        audit.write(connection, made.records, now)


def set_connection_status(database: Database, name: str, status: str) -> None:
    """Record the outcome of a check; ConfigError when there is no connection of that name."""
    changed = sa.update(tables.connection).where(tables.connection.c.name == name).values(connection_status=status)
    with database.writing() as connection:
        if connection.execute(changed).rowcount == 0:
            raise ConfigError("there is no such connection", place=name, remedy="Apply a bridge.yaml that defines it")


def _lock(connection: sa.Connection) -> None:
    """Let nobody else change the configuration until the transaction ends; on SQLite there is one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def _save(connection: sa.Connection, before: Bridge, bridge: Bridge) -> None:
    # A run may have saved one after its sync was gone; a sync that comes back now must begin without.
    _delete_orphaned_cursors(connection)
    _forget(connection, before, bridge)
    statuses = {known.name: known.connection_status for known in before.connections}
    for table in _TABLES:
        connection.execute(sa.delete(table))
    connections = [
        msgspec.structs.replace(given, connection_status=statuses.get(given.name, given.connection_status))
        for given in bridge.connections
    ]
    _insert(connection, tables.connection, connections)
    _insert(connection, tables.destination, bridge.destinations)
    for position, (name, rules) in enumerate(bridge.mappings.items()):
        connection.execute(sa.insert(tables.mapping), {"name": name, "position": position})
        _insert(connection, tables.data_mapping, rules, mapping=name)
    _insert(connection, tables.activation, bridge.audiences)
    _insert(connection, tables.activation, bridge.conversions, first=len(bridge.audiences), **_NO_AUDIENCE)
    for position, source in enumerate(bridge.suppressions):
        connection.execute(sa.insert(tables.suppression_list), {"source": source, "position": position})
    _delete_orphaned_cursors(connection)


def _load(connection: sa.Connection) -> Bridge:
    return Bridge(
        connections=tuple(_all(connection, tables.connection, CDPConnection)),
        destinations=tuple(_all(connection, tables.destination, DestinationAccount)),
        mappings=_mappings(connection),
        audiences=tuple(_all(connection, tables.activation, Activation, _HAS_SEGMENT)),
        conversions=tuple(_all(connection, tables.activation, ConversionFeed, _HAS_NONE)),
        suppressions=tuple(row.source for row in connection.execute(_in_order(tables.suppression_list))),
    )


def _configured(connection: sa.Connection) -> Configured:
    rows = connection.execute(sa.select(tables.api_field)).all()
    return Configured(_load(connection), frozenset(ApiField(row.kind, row.name, row.field) for row in rows))


def _mappings(connection: sa.Connection) -> dict[str, tuple[DataMapping, ...]]:
    rules: dict[str, list[DataMapping]] = {row.name: [] for row in connection.execute(_in_order(tables.mapping))}
    rows = connection.execute(_in_order(tables.data_mapping)).all()
    for row, rule in zip(rows, structs_of(DataMapping, rows), strict=True):
        rules[row.mapping].append(rule)
    return {name: tuple(given) for name, given in rules.items()}


def _forget(connection: sa.Connection, before: Bridge, after: Bridge) -> None:
    """Delete what belongs to connections, lists and syncs that are gone."""
    now = {given.name for given in after.connections}
    gone = [known.name for known in before.connections if known.name not in now]
    dropped = set(before.suppressions) - set(after.suppressions)
    for table in (tables.segment, tables.segment_listing):
        connection.execute(sa.delete(table).where(table.c.connection.in_(gone)))
    connection.execute(sa.delete(tables.suppression).where(tables.suppression.c.source.in_(dropped)))
    # One that comes back would otherwise catch up from where it was left.
    left = {known.name for known in before.syncs} - {given.name for given in after.syncs}
    connection.execute(sa.delete(tables.schedule).where(tables.schedule.c.audience.in_(left)))


def _delete_orphaned_cursors(connection: sa.Connection) -> None:
    """Delete the cursors of syncs that are not in the configuration."""
    syncs = sa.select(tables.activation.c.name)
    connection.execute(sa.delete(tables.cursor).where(tables.cursor.c.sync.not_in(syncs)))


def _all(connection: sa.Connection, table: sa.Table, kind: type[S], *which: sa.ColumnElement[bool]) -> list[S]:
    return structs_of(kind, connection.execute(_in_order(table, *which)).all())


@cache
def _in_order(table: sa.Table, *which: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Rows as they were saved. Made once: it takes as long as to run it."""
    return sa.select(table).where(*which).order_by(table.c.position)


def _insert(
    connection: sa.Connection, table: sa.Table, values: Iterable[msgspec.Struct], first: int = 0, **more: Any
) -> None:
    rows = [row_of(table, value, position=position, **more) for position, value in enumerate(values, first)]
    if rows:
        connection.execute(sa.insert(table), rows)
