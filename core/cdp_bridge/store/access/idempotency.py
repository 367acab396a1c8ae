"""What was answered to requests with an idempotency key, so that a repeat gets the same and does nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from msgspec import Struct

from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, insert, struct_of

KEPT = timedelta(days=1)
GIVEN_UP = timedelta(minutes=2)
"""Who has claimed a key for that long without an answer is dead."""
_table = tables.answer


class Answer(Struct, frozen=True, kw_only=True):
    """A response: to which request (a digest), and what; a `status` of None: somebody is at it."""

    request: bytes
    status: int | None = None
    headers: dict[str, str] | None = None
    body: bytes | None = None


class Answers:
    """The answers of a store; keys of different callers have nothing to do with each other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, asked_by: str, key: str, request: bytes) -> Answer | None:
        """None: the caller is the first and must `keep` or `drop`; else what stands under the key."""
        now = datetime.fromtimestamp(self._database.clock(), UTC)
        dead = _table.c.status.is_(None) & (_table.c.claimed_at < now - GIVEN_UP)
        row = {"asked_by": asked_by, "idempotency_key": key, "request": request, "claimed_at": now}
        with self._database.writing() as connection:
            connection.execute(sa.delete(_table).where((_table.c.claimed_at < now - KEPT) | dead))
            added = insert(connection, _table).on_conflict_do_nothing().returning(_table.c.idempotency_key)
            if connection.execute(added, row).scalar() is not None:
                return None
            found = connection.execute(sa.select(_table).where(_mine(asked_by, key))).one()
        return struct_of(Answer, found)

    def keep(self, asked_by: str, key: str, answer: Answer) -> None:
        """Give this answer from now on."""
        values = {"status": answer.status, "headers": answer.headers, "body": answer.body}
        with self._database.writing() as connection:
            connection.execute(sa.update(_table).where(_mine(asked_by, key)).values(values))

    def drop(self, asked_by: str, key: str) -> None:
        """Nothing came of it: a repeat may try anew."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(_table).where(_mine(asked_by, key), _table.c.status.is_(None)))


def _mine(asked_by: str, key: str) -> sa.ColumnElement[bool]:
    return (_table.c.asked_by == asked_by) & (_table.c.idempotency_key == key)
