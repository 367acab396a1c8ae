"""Connections, transactions and statements that are the same for SQLite and PostgreSQL."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from cdp_bridge.errors import ConfigError
from cdp_bridge.redact import learn
from cdp_bridge.store.failures import READ_ONLY, known, plainly
from cdp_bridge.texts.storable import storable

S = TypeVar("S", bound=msgspec.Struct)
V = TypeVar("V")
Clock = Callable[[], float]

CHUNK = 5_000
"""Keys in one statement; SQLite takes 32,766 parameters."""
LOCK_SECONDS = 30
CONNECT_SECONDS = 10
IDLE_SECONDS = 30
"""How long a transaction may be idle before the server ends it."""
SILENCE_SECONDS = 20
"""How long a server may leave sent bytes unconfirmed before the connection counts as lost."""
_creating = threading.Lock()

# fullfsync is what makes FULL true on macOS; elsewhere it does nothing.
_PRAGMAS = (
    f"busy_timeout = {LOCK_SECONDS * 1000}",
    "page_size = 16384",
    "synchronous = FULL",
    "fullfsync = ON",
    "foreign_keys = ON",
    "trusted_schema = OFF",
    "secure_delete = FAST",
    "cache_size = -32768",
    "wal_autocheckpoint = 2000",
)


# As many as by default, but none is closed only to be opened again.
_POOL = {"pool_size": 15, "max_overflow": 0, "pool_use_lifo": True}


class Database:
    """The engine of one store; `place` is its URL without credentials, `clock` gives seconds since 1970."""

    def __init__(self, url: str, clock: Clock) -> None:
        self.clock = clock
        self._writer = threading.Lock()
        self._was_there = False
        address = _address(url)
        self.place = _place(address)
        self.path = address.database if address.drivername == "sqlite" else None
        if self.path is not None:
            _prepare_file(self.path, self.place)
        self.engine = sa.create_engine(
            address,
            hide_parameters=True,
            pool_pre_ping=self.path is None,
            json_serializer=_to_json,
            json_deserializer=msgspec.json.decode,
            **_arguments(address),
        )
        self._reading = {"reading": True} if self.path else {"isolation_level": "REPEATABLE READ"}
        sa.event.listen(self.engine, "connect", _set_up_sqlite if self.path else self._set_up_postgresql)
        if self.path is not None:
            sa.event.listen(self.engine, "begin", _begin_sqlite)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that sees one state of the store throughout and blocks no writer."""
        with plainly(self.place, was_there=self._was_there), self.engine.connect() as connection:
            yield connection.execution_options(**self._reading)

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction, committed durably at the end of the block and rolled back by an exception."""
        with plainly(self.place, was_there=self._was_there), self._turn(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let the writers of this process wait for each other: SQLite itself would let them sleep for too long."""
        has_turn = self.path is not None and self._writer.acquire(timeout=LOCK_SECONDS)
        try:
            # After a time-out here, the database raises its own error.
            yield
        finally:
            if has_turn:
                self._writer.release()

    def _set_up_postgresql(self, connection: Any, _: object) -> None:
        self._was_there = True
        connection.autocommit = True
        connection.execute("SET synchronous_commit = on")
        connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
        # A host that is cut off in a transaction must not hold locks for long.
        connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
        connection.autocommit = False


def insert(connection: sa.Connection, table: sa.Table) -> Any:
    """The dialect's INSERT: both have the same ON CONFLICT, but SQLAlchemy has no common type for them."""
    return _inserting(connection.dialect.name, table)


def _inserting(dialect: str, table: sa.Table) -> Any:
    # Only the dialect in use is imported; the engine has done so already.
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


def upsert(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, or replace all other columns of those whose primary key is there."""
    if rows:
        connection.execute(_upserting(connection.dialect.name, table, tuple(rows[0])), rows)


@cache
def _upserting(dialect: str, table: sa.Table, columns: tuple[str, ...]) -> Any:
    """Cached, since a run saves its record with every batch."""
    statement = _inserting(dialect, table)
    keys = [column.name for column in table.primary_key]
    changes = {name: statement.excluded[name] for name in columns if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changes)


def insert_missing(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Insert a row unless one of the same key is there; on PostgreSQL this waits for transactions that insert it."""
    connection.execute(insert(connection, table).on_conflict_do_nothing(), [row])


def row_of(table: sa.Table, value: msgspec.Struct, **instead: Any) -> dict[str, Any]:
    """A struct as a row: its fields that are columns, or `instead` of them these; nested values as JSON values."""
    fields = {name: getattr(value, name) for name in value.__struct_fields__}
    return {
        column.name: msgspec.to_builtins(given) if isinstance(column.type, sa.JSON) else given
        for column in table.columns
        if (given := {**fields, **instead}.get(column.name, ...)) is not ...
    }


def structs_of(kind: type[S], rows: Sequence[sa.Row[Any]]) -> list[S]:
    """Rows of one result as structs: the columns that are fields."""
    # The API lists hundreds of rows: the column names are looked up once for all.
    names = enumerate(rows[0]._fields if rows else ())
    places = [(str(name), place) for place, name in names if name in kind.__struct_fields__]
    given = ({name: row[place] for name, place in places} for row in rows)
    return [msgspec.convert(fields, kind, builtin_types=(bytes, datetime)) for fields in given]


def struct_of(kind: type[S], row: sa.Row[Any]) -> S:
    """A row as a struct."""
    return structs_of(kind, [row])[0]


def by_chunks(values: Sequence[V]) -> Iterator[Sequence[V]]:
    """Slices short enough for the parameters of one statement."""
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))


def _to_json(value: Any) -> str:
    # Half of a surrogate pair could be written as its escape, but not read again.
    return storable(json.dumps(value, ensure_ascii=False))


def _address(url: str) -> sa.URL:
    try:
        address = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigError(
            "the store's URL cannot be read", remedy="Write sqlite:///path or postgresql://host/database"
        ) from None
    if address.drivername == "postgresql":
        learn(address.password or "")
        return address.set(drivername="postgresql+psycopg")
    if address.drivername != "sqlite" or not address.database or address.database == ":memory:":
        raise ConfigError(
            f"{address.drivername} is not a store",
            remedy="Write sqlite:///path (a file) or postgresql://host/database",
        )
    return address


def _place(address: sa.URL) -> str:
    if address.drivername == "sqlite":
        return f"sqlite:///{address.database}"
    host = address.host or address.query.get("host") or "localhost"
    port = f":{address.port}" if address.port else ""
    return f"postgresql://{host}{port}/{address.database or ''}"


def _prepare_file(path: str, place: str) -> None:
    """Create the file, readable by this user only since it links people to hashes; ConfigError if it is read-only.

    An existing file is not opened: closing it would drop the locks of this process's other connections.
    """
    try:
        with _creating:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if not os.access(path, os.W_OK):
            raise known(READ_ONLY, place) from None
    except OSError as error:
        raise ConfigError(
            f"the file cannot be made ({os.strerror(error.errno or 0)})",
            place=place,
            remedy="Check that its folder exists, has space and is writable by this user",
        ) from None


def _arguments(address: sa.URL) -> dict[str, Any]:
    if address.drivername == "sqlite":
        return {"connect_args": {"timeout": LOCK_SECONDS}, **_POOL}
    return {
        **_POOL,
        "connect_args": {
            "client_encoding": "UTF8",
            "connect_timeout": CONNECT_SECONDS,
            "tcp_user_timeout": SILENCE_SECONDS * 1000,
            "keepalives_idle": SILENCE_SECONDS // 4,
            "keepalives_interval": SILENCE_SECONDS // 4,
        },
    }


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    # Python's own transaction control would begin too late and never IMMEDIATE.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    _write_ahead(connection)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite does not honour its own time-out here when several connections make a new file at once."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads and then writes can fail at once, whatever the time-out: take the lock first.
    reading = connection.get_execution_options().get("reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
