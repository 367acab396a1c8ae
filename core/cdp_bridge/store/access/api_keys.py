"""API keys, stored as digests and found by the text that a caller presents."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from cdp_bridge.entities import ApiKey, Role
from cdp_bridge.errors import ConfigError
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, row_of, struct_of, structs_of

PREFIX = "cdpb_"
KEY_DAYS = 90
"""After how many days a key expires unless somebody says otherwise."""
MAX_KEY_DAYS = 3_650
WARNING_DAYS = 14
"""How long before its end a key is warned of."""
FIRST_KEY = "first-key"
"""The name of the key with which a new store is entered; it makes one other key."""
_table = tables.api_key
# Made once, since every request runs it.
_VALID = sa.select(_table).where(
    _table.c.revoked_at.is_(None),
    _table.c.expires_at.is_(None) | (_table.c.expires_at > sa.bindparam("now")),
)
_VALID_OF_TEXT = _VALID.where(_table.c.digest == sa.bindparam("text"))
_VALID_OF_ID = _VALID.where(_table.c.id == sa.bindparam("id"))


class ApiKeys:
    """The API keys of a store.

    A key has 128 random bits, so that its plain digest cannot be guessed back.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, name: str, role: Role, *, sees_hashes: bool = False, life: timedelta | None = None
    ) -> tuple[ApiKey, str]:
        """A new key that expires after `life`, and the text to present, which is not stored and never shown again."""
        now = self._now()
        text = PREFIX + secrets.token_urlsafe(16)
        key = ApiKey(
            id=secrets.token_hex(4),
            name=name,
            role=role,
            sees_hashes=sees_hashes,
            created_at=now,
            expires_at=now + life if life else None,
        )
        with self._database.writing() as connection:
            connection.execute(sa.insert(_table), row_of(_table, key, digest=_digest(text)))
        return key, text

    def find(self, text: str) -> ApiKey | None:
        """The key of that text, unless it is revoked or has expired."""
        with self._database.reading() as connection:
            row = connection.execute(_VALID_OF_TEXT, {"text": _digest(text), "now": self._now()}).first()
        return struct_of(ApiKey, row) if row else None

    def is_valid(self, key_id: str) -> bool:
        """Whether the key is neither revoked nor has expired."""
        with self._database.reading() as connection:
            return connection.execute(_VALID_OF_ID, {"id": key_id, "now": self._now()}).first() is not None

    def all(self) -> list[ApiKey]:
        """Every key that was ever made, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(_table).order_by(_table.c.created_at, _table.c.id)).all()
        return structs_of(ApiKey, rows)

    def expiring(self) -> list[ApiKey]:
        """The valid keys that expire within `WARNING_DAYS`, but for the first one, which lives for minutes."""
        now = self._now()
        return [
            key
            for key in self.all()
            if key.revoked_at is None
            and key.name != FIRST_KEY
            and key.expires_at is not None
            and now < key.expires_at <= now + timedelta(days=WARNING_DAYS)
        ]

    def revoke(self, key_id: str) -> None:
        """Refuse a key from now on; ConfigError when there is no such key in use."""
        mine = (_table.c.id == key_id) & _table.c.revoked_at.is_(None)
        with self._database.writing() as connection:
            if connection.execute(sa.update(_table).where(mine).values(revoked_at=self._now())).rowcount == 0:
                raise ConfigError("there is no key of that id in use", remedy="See cdp-bridge keys list")

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._database.clock(), UTC)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
