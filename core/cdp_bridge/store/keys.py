"""Random keys that every process of a store shares."""

from __future__ import annotations

import secrets

import sqlalchemy as sa

from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, insert_missing

BYTES = 32


def key(database: Database, name: str) -> bytes:
    """The key of that name; of rivals that make it at the same time, the first one's stays."""
    wanted = sa.select(tables.secret_key.c.value).where(tables.secret_key.c.name == name)
    with database.reading() as connection:
        found: bytes | None = connection.execute(wanted).scalar()
    if found is not None:
        return found
    with database.writing() as connection:
        insert_missing(connection, tables.secret_key, {"name": name, "value": secrets.token_bytes(BYTES)})
        made: bytes = connection.execute(wanted).scalar_one()
        return made
