"""The secrets in the store, encrypted, to which settings refer as `store:NAME`."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from cdp_bridge.errors import ConfigError
from cdp_bridge.secrets import Secret
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, upsert
from cdp_bridge.store.secrets import cipher
from cdp_bridge.store.secrets.keyring import Keyring

SCHEME = "store"
BATCH = 500
"""Envelopes that one transaction of a rotation renews."""
_LOCK = 0x63647073656372  # "cdpsecr": the advisory lock of those who write secrets or change the keyring.
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,199}")
_table = tables.secret


class Secrets:
    """The secrets of a store, by name; the keyring is made with the first one.

    Settings cannot refer to a name with a colon: these are for the bridge itself.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, name: str, secret: Secret, *, lasts: timedelta | None = None) -> str:
        """Save or replace a secret, which expires once `lasts` is over if that is given; its reference."""
        expires_at = self._now() + lasts if lasts is not None else None
        with self._locked() as connection:
            keys = _made(connection, self._keyring()).keys()
            envelope = cipher.seal(secret.reveal().encode(), _place(name), keys)
            upsert(connection, _table, [{"name": name, "envelope": envelope, "expires_at": expires_at}])
        return f"{SCHEME}:{name}"

    def get(self, name: str) -> Secret | None:
        """The secret of that name, None if there is none or it has expired; ConfigError if it cannot be read."""
        with self._database.reading() as connection:
            envelope = connection.execute(sa.select(_table.c.envelope).where(self._valid(name))).scalar()
        return None if envelope is None else self._open(name, envelope)

    def pop(self, name: str) -> Secret | None:
        """As `get`, and delete it; of several callers at once, only one gets it."""
        with self._database.writing() as connection:
            statement = sa.delete(_table).where(self._valid(name)).returning(_table.c.envelope)
            envelope = connection.execute(statement).scalar()
        return None if envelope is None else self._open(name, envelope)

    def drop(self, name: str) -> None:
        """Delete a secret; no error when there is none."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(_table).where(_table.c.name == name))

    def secret(self, name: str) -> Secret:
        """The secret behind `store:NAME`; ConfigError if there is no such secret."""
        secret = self.get(name) if _NAME.fullmatch(name) else None
        if secret is None:
            raise ConfigError(f"the store keeps no secret {name}", remedy="Save the secret again")
        return secret

    def digest(self, data: bytes) -> bytes:
        """A digest of data under the oldest key; without the keyring, nobody can test guesses of the data.

        Raises ConfigError where there can be no keyring.
        """
        keys = self._keyring().keys()
        if not keys:
            with self._locked() as connection:
                keys = _made(connection, self._keyring()).keys()
        key = hmac.digest(next(iter(keys.values())), b"digest", "sha256")
        return hmac.digest(key, data, "sha256")

    def examine(self) -> int:
        """Decrypt every secret; how many there are, ConfigError for the first that cannot be read."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(_table.c.name, _table.c.envelope).order_by(_table.c.name)).all()
        keys = self._keyring().keys() if rows else {}
        for row in rows:
            cipher.unseal(row.envelope, _place(row.name), keys)
        return len(rows)

    def rotate(self) -> Iterator[int]:
        """Encrypt every secret again under a new key, a batch at a time; yields the size of each batch.

        A rotation that was interrupted goes on under the newest key, without another one.
        """
        with self._locked() as connection:
            keyring = _made(connection, self._keyring())
            if connection.execute(_older_than(cipher.newest(keyring.keys()))).first() is None:
                keyring.add()
        after = ""
        while renewed := self._renew(keyring, after):
            after = renewed[-1]
            yield len(renewed)

    def drop_keys(self) -> list[str]:
        """Delete all keys but the newest, and return their ids; ConfigError while a secret needs one of them."""
        with self._locked() as connection:
            keyring = self._keyring()
            *old, newest = keyring.keys() or [""]
            if old and connection.execute(_older_than(newest)).first() is not None:
                raise ConfigError("a secret still needs an old key", remedy="Run cdp-bridge keys rotate first")
            if old:
                keyring.drop(set(old))
        return old

    def _renew(self, keyring: Keyring, after: str) -> list[str]:
        """Renew the next envelopes in the order of names; the names."""
        with self._locked() as connection:
            keys = keyring.keys()
            older = _older_than(cipher.newest(keys)).where(_table.c.name > after)
            # Locked, since a secret that is deleted meanwhile must not come back.
            rows = connection.execute(older.order_by(_table.c.name).limit(BATCH).with_for_update()).all()
            renewed = [
                {
                    "name": row.name,
                    "envelope": cipher.seal(
                        cipher.unseal(row.envelope, _place(row.name), keys), _place(row.name), keys
                    ),
                    "expires_at": row.expires_at,
                }
                for row in rows
            ]
            upsert(connection, _table, renewed)
        return [row.name for row in rows]

    def _open(self, name: str, envelope: bytes) -> Secret:
        return Secret(cipher.unseal(envelope, _place(name), self._keyring().keys()).decode())

    def _valid(self, name: str) -> sa.ColumnElement[bool]:
        return (_table.c.name == name) & (_table.c.expires_at.is_(None) | (_table.c.expires_at > self._now()))

    def _keyring(self) -> Keyring:
        return Keyring.of(self._database.path)

    @contextmanager
    def _locked(self) -> Iterator[sa.Connection]:
        """A transaction during which nobody else writes secrets or changes the keyring; SQLite has one writer."""
        with self._database.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            yield connection

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._database.clock(), UTC)


def _made(connection: sa.Connection, keyring: Keyring) -> Keyring:
    """The keyring, made if there are no secrets; ConfigError if there are: a new keyring would decrypt none."""
    if not keyring.keys():
        if connection.execute(sa.select(_table.c.name).limit(1)).first() is not None:
            raise ConfigError(
                "the keyring is missing, and the store holds secrets that need it",
                place=str(keyring.path),
                remedy="Restore it from a backup, or copy it from another machine of this store",
            )
        keyring.add()
    return keyring


def _older_than(key: str) -> sa.Select[tuple[str, bytes, datetime | None]]:
    """Secrets that are encrypted under another key."""
    start = sa.func.substr(_table.c.envelope, 1, cipher.HEADER_BYTES, type_=sa.LargeBinary)
    return sa.select(_table.c.name, _table.c.envelope, _table.c.expires_at).where(start != cipher.header(key))


def _place(name: str) -> cipher.Place:
    return _table.name, name, _table.c.envelope.name
