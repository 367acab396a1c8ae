"""Answers to requests with an idempotency key, so that a repeated request gets the same answer and does nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from msgspec import Struct

from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, insert, struct_of

MAX_AGE = timedelta(days=1)
MAX_CLAIM = timedelta(minutes=2)
"""A claim without an answer for that long is of a process that has died."""
_table = tables.answer


class Answer(Struct, frozen=True, kw_only=True):
    """A response to a request (its digest); `status` is None while the request is being carried out."""

    request: bytes
    status: int | None = None
    headers: dict[str, str] | None = None
    body: bytes | None = None


class Answers:
    """The answers of a store; each caller has keys of their own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, asked_by: str, key: str, request: bytes) -> Answer | None:
        """None for the first caller, who must `save` or `release`; for others what is saved under the key."""
        now = datetime.fromtimestamp(self._database.clock(), UTC)
        dead = _table.c.status.is_(None) & (_table.c.claimed_at < now - MAX_CLAIM)
        claim = {"asked_by": asked_by, "idempotency_key": key, "request": request, "claimed_at": now}
        with self._database.writing() as connection:
            connection.execute(sa.delete(_table).where((_table.c.claimed_at < now - MAX_AGE) | dead))
            added = insert(connection, _table).on_conflict_do_nothing().returning(_table.c.idempotency_key)
            if connection.execute(added, claim).scalar() is not None:
                return None
            row = connection.execute(sa.select(_table).where(_mine(asked_by, key))).one()
        return struct_of(Answer, row)

    def save(self, asked_by: str, key: str, answer: Answer) -> None:
        """Give this answer from now on."""
        values = {"status": answer.status, "headers": answer.headers, "body": answer.body}
        with self._database.writing() as connection:
            connection.execute(sa.update(_table).where(_mine(asked_by, key)).values(values))

    def release(self, asked_by: str, key: str) -> None:
        """Withdraw a claim, so that the next request with the key is carried out."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(_table).where(_mine(asked_by, key), _table.c.status.is_(None)))


def _mine(asked_by: str, key: str) -> sa.ColumnElement[bool]:
    return (_table.c.asked_by == asked_by) & (_table.c.idempotency_key == key)
