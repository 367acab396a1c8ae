"""Reads and deletes the dead letters: refused members with their reasons."""

from __future__ import annotations

import sqlalchemy as sa

from cdp_bridge.entities import DeadLetter
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, structs_of
from cdp_bridge.store.window import Window, statement

_NEWEST = Window()
_letter, _name = tables.dead_letter, tables.audience.c.name


class DeadLetters:
    """The dead letters of a store; a `Transaction` saves them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def listed(
        self, audience: str | None = None, reason: str | None = None, window: Window = _NEWEST
    ) -> list[DeadLetter]:
        """Dead letters, of one audience or with one reason if so asked, by `created_at`, audience and member key."""
        query = sa.select(_letter, _name.label("audience")).join(tables.audience)
        if audience is not None:
            query = query.where(_name == audience)
        if reason is not None:
            query = query.where(_letter.c.reason == reason)
        at = _letter.c.created_at
        wanted = statement(query, at, (at, _name, _letter.c.member_key), window.shape)
        with self._database.reading() as connection:
            return structs_of(DeadLetter, connection.execute(wanted, window.parameters()).all())

    def fingerprints(self, audience: str) -> dict[bytes, bytes]:
        """member_key -> the fingerprint that was refused."""
        query = sa.select(_letter.c.member_key, _letter.c.fingerprint).join(tables.audience).where(_name == audience)
        with self._database.reading() as connection:
            return {row.member_key: row.fingerprint for row in connection.execute(query)}

    def delete(self, audience: str, reason: str | None = None) -> int:
        """Delete those of an audience (with one reason), so that the next run sends the members again; how many."""
        audience_id = sa.select(tables.audience.c.id).where(_name == audience)
        statement = sa.delete(_letter).where(_letter.c.audience_id.in_(audience_id))
        if reason is not None:
            statement = statement.where(_letter.c.reason == reason)
        with self._database.writing() as connection:
            return connection.execute(statement).rowcount
