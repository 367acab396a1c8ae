"""Stores the audiences of a folder in one SQLite file, each write in one transaction."""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from cdp_bridge.sdk import Audience, Batch, ConfigError, RejectedError, TransientError
from msgspec import Struct

Held = dict[str, dict[str, dict[str, list[str]]]]
FILE = "chaos.db"
PATIENCE = 30.0
"""Seconds to wait for another process that writes."""
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_TABLES = (
    "CREATE TABLE IF NOT EXISTS audience (id TEXT PRIMARY KEY, marker TEXT UNIQUE NOT NULL)",
    """CREATE TABLE IF NOT EXISTS member (audience TEXT NOT NULL REFERENCES audience, key BLOB NOT NULL,
       identifiers TEXT NOT NULL, PRIMARY KEY (audience, key)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS job (id TEXT PRIMARY KEY, audience TEXT NOT NULL REFERENCES audience,
       operation TEXT NOT NULL, members TEXT NOT NULL, asked INTEGER NOT NULL, done BOOLEAN NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS call (number INTEGER NOT NULL)",
    "INSERT INTO call SELECT 0 WHERE NOT EXISTS (SELECT * FROM call)",
)


class Change(Struct, frozen=True):
    """Members, each with the JSON text of its identifiers, to be added to or removed from one audience."""

    audience: str
    operation: str
    members: dict[bytes, str]

    @classmethod
    def of(cls, batch: Batch) -> Change:
        """What a batch asks for."""
        rows = (
            {name: values[place] for name, values in batch.identifiers.items() if values[place]}
            for place in range(len(batch.keys))
        )
        return cls(batch.audience.id, batch.operation, dict(zip(batch.keys, map(json.dumps, rows), strict=True)))


class Job(Struct, frozen=True):
    """A change that is done later; `asked` is how often its outcome was requested."""

    id: str
    change: Change
    asked: int
    done: bool


class Audiences:
    """The state of the platform; each method is one transaction."""

    def __init__(self, file: Path, connection: sqlite3.Connection) -> None:
        self._file, self._connection = file, connection

    def next_call(self) -> int:
        """The number of this write, from 1; a failed write keeps its number."""
        with self._transaction() as connection:
            [(number,)] = connection.execute("UPDATE call SET number = number + 1 RETURNING number").fetchall()
        return int(number)

    def ensure(self, audience: Audience) -> str:
        """The id of the audience with that marker; a new one has a globally unique id."""
        made = f"{audience.name}-{secrets.token_hex(4)}"
        with self._transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO audience VALUES (?, ?)", (made, audience.marker))
            row = connection.execute("SELECT id FROM audience WHERE marker = ?", (audience.marker,))
            return str(row.fetchone()[0])

    def carry_out(self, change: Change, without: Sequence[bytes]) -> None:
        """Add or remove all members but some."""
        with self._transaction() as connection:
            _carry_out(connection, change, without)

    def postpone(self, change: Change) -> str:
        """Keep a change for later; the id of the job."""
        job = secrets.token_hex(8)
        members = json.dumps({key.hex(): identifiers for key, identifiers in change.members.items()})
        with self._transaction() as connection:
            row = (job, change.audience, change.operation, members)
            connection.execute("INSERT INTO job VALUES (?, ?, ?, ?, 0, false)", row)
        return job

    def ask(self, id: str) -> Job:
        """The job of that id, asked for once more; RejectedError if there is none."""
        query = "UPDATE job SET asked = asked + 1 WHERE id = ? RETURNING audience, operation, members, asked, done"
        with self._transaction() as connection:
            jobs = connection.execute(query, (id,)).fetchall()
        if not jobs:
            raise RejectedError("there is no such job", reason="chaos:no_such_job")
        [(audience, operation, members, asked, done)] = jobs
        rows = {bytes.fromhex(key): identifiers for key, identifiers in json.loads(members).items()}
        return Job(id, Change(audience, operation, rows), asked, bool(done))

    def finish(self, job: Job, without: Sequence[bytes]) -> None:
        """Do a job."""
        with self._transaction() as connection:
            _carry_out(connection, job.change, without)
            connection.execute("UPDATE job SET done = true WHERE id = ?", (job.id,))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _plainly(self._file), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection


@contextlib.contextmanager
def opened(path: str) -> Iterator[Audiences]:
    """The audiences of a folder, which is made if it is not there; ConfigError if it cannot be used."""
    file = Path(path, FILE)
    with _plainly(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(file, timeout=PATIENCE, isolation_level=None)
    with contextlib.closing(connection):
        with _plainly(file):
            connection.execute("PRAGMA foreign_keys = ON")
            for statement in _TABLES:
                connection.execute(statement)
        yield Audiences(file, connection)


def read(path: str) -> Held:
    """See `destination_chaos.held`."""
    file = Path(path, FILE)
    if not file.exists():
        return {}
    with _plainly(file), contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as base:
        audiences: dict[str, dict[str, dict[str, list[str]]]] = {
            id: {} for (id,) in base.execute("SELECT id FROM audience")
        }
        for audience, key, identifiers in base.execute("SELECT audience, key, identifiers FROM member"):
            audiences[audience][key.hex()] = json.loads(identifiers)
    return audiences


def _carry_out(connection: sqlite3.Connection, change: Change, without: Sequence[bytes]) -> None:
    rows = [(change.audience, key, change.members[key]) for key in change.members.keys() - set(without)]
    if change.operation == "add":
        connection.executemany("INSERT OR REPLACE INTO member VALUES (?, ?, ?)", rows)
    else:
        connection.executemany("DELETE FROM member WHERE audience = ? AND key = ?", [row[:2] for row in rows])


@contextlib.contextmanager
def _plainly(file: Path) -> Iterator[None]:
    """Translate errors of the database into errors of the bridge, without values."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY:
            raise TransientError(f"{file}: another process holds the database for too long") from error
        remedy = "Free space, change the permissions or name another folder"
        problem = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"cannot be used: {problem}", place=str(file), remedy=remedy) from error
