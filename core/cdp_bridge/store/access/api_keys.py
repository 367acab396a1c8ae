"""API keys, stored as digests and found by the text that a caller presents."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime

import sqlalchemy as sa

from cdp_bridge.entities import ApiKey, Role
from cdp_bridge.errors import ConfigError
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, row_of, struct_of, structs_of

PREFIX = "cdpb_"
_table = tables.api_key
# Made once, since every request runs it.
_VALID = sa.select(_table).where(
    _table.c.digest == sa.bindparam("text"),
    _table.c.revoked_at.is_(None),
    _table.c.expires_at.is_(None) | (_table.c.expires_at > sa.bindparam("now")),
)


class ApiKeys:
    """The API keys of a store.

    A key has 128 random bits, so that its plain digest cannot be guessed back.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, name: str, role: Role, *, sees_hashes: bool = False, expires_at: datetime | None = None
    ) -> tuple[ApiKey, str]:
        """A new key, and the text to present, which is not stored and cannot be shown again."""
        text = PREFIX + secrets.token_urlsafe(16)
        key = ApiKey(
            id=secrets.token_hex(4),
            name=name,
            role=role,
            sees_hashes=sees_hashes,
            created_at=self._now(),
            expires_at=expires_at,
        )
        with self._database.writing() as connection:
            connection.execute(sa.insert(_table), row_of(_table, key, digest=_digest(text)))
        return key, text

    def find(self, text: str) -> ApiKey | None:
        """The key of that text, unless it is revoked or has expired."""
        with self._database.reading() as connection:
            row = connection.execute(_VALID, {"text": _digest(text), "now": self._now()}).first()
        return struct_of(ApiKey, row) if row else None

    def all(self) -> list[ApiKey]:
        """Every key that was ever made, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(_table).order_by(_table.c.created_at, _table.c.id)).all()
        return structs_of(ApiKey, rows)

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
