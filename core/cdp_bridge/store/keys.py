"""Random keys that all processes of a store share."""

from __future__ import annotations

import secrets

import sqlalchemy as sa

from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, insert_missing

BYTES = 32


def key(database: Database, name: str) -> bytes:
    """The key of that name; of several processes that make it at the same time, the first decides."""
    query = sa.select(tables.secret_key.c.value).where(tables.secret_key.c.name == name)
    with database.reading() as connection:
        saved: bytes | None = connection.execute(query).scalar()
    if saved is not None:
        return saved
    with database.writing() as connection:
        insert_missing(connection, tables.secret_key, {"name": name, "value": secrets.token_bytes(BYTES)})
        saved = connection.execute(query).scalar_one()
        assert saved is not None, "the column takes no NULL"
        return saved
