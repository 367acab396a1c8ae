"""Refused members, page by page; taken back so that the next run sends them again."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from cdp_bridge.entities import DeadLetter
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, structs_of

Position = tuple[datetime, str, bytes]
"""`created_at`, audience and member key of a letter."""

_letter, _name = tables.dead_letter, tables.audience.c.name


class DeadLetters:
    """The dead letters of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(
        self, audience: str | None = None, reason: str | None = None, before: Position | None = None, limit: int = 50
    ) -> list[DeadLetter]:
        """Letters, newest first, of one audience or with one reason if so asked, older than a position."""
        at, key = _letter.c.created_at, _letter.c.member_key
        wanted = sa.select(_letter, _name.label("audience")).join(tables.audience)
        if audience is not None:
            wanted = wanted.where(_name == audience)
        if reason is not None:
            wanted = wanted.where(_letter.c.reason == reason)
        if before is not None:
            later = (_name > before[1]) | ((_name == before[1]) & (key > before[2]))
            wanted = wanted.where((at < before[0]) | ((at == before[0]) & later))
        with self._database.reading() as connection:
            rows = connection.execute(wanted.order_by(at.desc(), _name, key).limit(limit)).all()
        return structs_of(DeadLetter, rows)

    def take_back(self, audience: str, reason: str | None = None) -> int:
        """Forget the letters of an audience (with one reason): the next run sends these members again; how many."""
        named = sa.select(tables.audience.c.id).where(_name == audience)
        mine = sa.delete(_letter).where(_letter.c.audience_id.in_(named))
        if reason is not None:
            mine = mine.where(_letter.c.reason == reason)
        with self._database.writing() as connection:
            return connection.execute(mine).rowcount
