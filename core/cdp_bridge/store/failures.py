"""Turns database failures into errors of the bridge, whose texts hold no value and no credential."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from cdp_bridge.errors import BridgeError, ConfigError, TransientError

FULL = ("the disk is full", "Free space, then run again; what was recorded before is intact")
BROKEN = ("the disk fails to read or write", "Check the disk; run cdp-bridge doctor afterwards")
READ_ONLY = ("the database is read-only", "Make it writable for this user")
DENIED = ("the database refuses the credentials", "Check user and password, and that the user may create tables")
DAMAGED = ("the database is damaged", "Run cdp-bridge doctor and restore a backup")
NOT_A_DATABASE = ("this is not a SQLite database", "Name another file; this one is left as it is")
UNREACHABLE = ("the database cannot be reached", "Check host, port and database name, and that it is running")
NO_DATABASE = ("there is no database of that name", "Create it, empty")
CANNOT_OPEN = ("the file cannot be opened", "Check that its folder exists and is writable by this user")
DANGLING = ("an entry names another one that does not exist", "Define what it names, or correct the name")

_SQLITE = {
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_IOERR: BROKEN,
    # The index of the write-ahead log cannot grow.
    sqlite3.SQLITE_IOERR_SHMSIZE: FULL,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_PERM: CANNOT_OPEN,
    sqlite3.SQLITE_CANTOPEN: CANNOT_OPEN,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: NOT_A_DATABASE,
}
# By SQLSTATE, the longest prefix that fits (PostgreSQL manual, appendix A).
_POSTGRESQL = {
    "28": DENIED,
    "42501": DENIED,
    "3D": NO_DATABASE,
    "53100": FULL,
    "58": BROKEN,
    "XX001": DAMAGED,
    "XX002": DAMAGED,
    "25006": READ_ONLY,
}
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
# Connection lost, deadlock, too many connections, lock time-out, shutting down.
_LATER = ("08", "40", "53", "55P03", "57")
# libpq gives no SQLSTATE when it cannot connect, only the text of the server.
_WORDS = {
    "authentication failed": DENIED,
    "no password supplied": DENIED,
    "pg_hba.conf": DENIED,
    'role "': DENIED,
    'database "': NO_DATABASE,
}
_WORDS_LATER = ("starting up", "shutting down", "recovery", "too many", "slots")


@contextmanager
def plainly(place: str, *, was_there: bool = False) -> Iterator[None]:
    """Turn the database's failures in the block into ConfigError or TransientError; other exceptions pass.

    A database that `was_there` before and cannot be reached is a TransientError.
    """
    try:
        yield
    except Exception as error:
        meant = meaning(error, place)
        if meant is None:
            raise
        if was_there and isinstance(meant, ConfigError) and meant.problem == UNREACHABLE[0]:
            meant = TransientError(f"{place}: {meant.problem} any more")
        # Without its cause: the driver's text may quote values of rows.
        raise meant from None


def meaning(error: Exception, place: str) -> BridgeError | None:
    """The bridge's error for a failure of SQLAlchemy or a driver; None for anything else and for a bug of ours."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return _sqlite(cause, place)
    # Of all exceptions only psycopg's have one; psycopg itself is not imported for SQLite.
    state = getattr(cause, "sqlstate", ...)
    if state is ...:
        return None
    if state is None:
        return _unreachable(error, place) if type(cause).__name__ == "OperationalError" else None
    for prefix in (state, state[:2]):
        if prefix in _POSTGRESQL:
            return known(_POSTGRESQL[prefix], place)
    if state.startswith(_LATER):
        return TransientError(f"{place}: the database is busy or going away (SQLSTATE {state})")
    return known(DANGLING, place) if state == "23503" else None


def _sqlite(cause: sqlite3.Error, place: str) -> BridgeError | None:
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None:
        return None
    if code & 0xFF in _BUSY:
        return TransientError(f"{place}: another process holds the database for too long")
    if code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
        return known(DANGLING, place)
    failure = _SQLITE.get(code) or _SQLITE.get(code & 0xFF)
    return known(failure, place) if failure else None


def _unreachable(error: Exception, place: str) -> BridgeError:
    # Without SQLAlchemy around it, it comes from a COPY, on a connection that worked before.
    if not isinstance(error, sa.exc.DBAPIError) or error.connection_invalidated:
        return TransientError(f"{place}: the connection to the database was lost")
    words = str(error.orig)
    if any(word in words for word in _WORDS_LATER):
        return TransientError(f"{place}: the database is starting, stopping or takes no more connections")
    return known(next((failure for word, failure in _WORDS.items() if word in words), UNREACHABLE), place)


def known(failure: tuple[str, str], place: str) -> ConfigError:
    """A ConfigError for one of the failures above, at a place."""
    problem, remedy = failure
    return ConfigError(problem, place=place, remedy=remedy)
