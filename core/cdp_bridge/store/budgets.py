"""Request budgets of platform accounts, shared by all processes of the store."""

from __future__ import annotations

import math
from typing import Any

import sqlalchemy as sa

from cdp_bridge.model import Limits
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, insert, insert_missing

SLOTS = 60
"""Uses are counted in this many slots a window: few rows, and at most one slot of the window lost to rounding."""


def take(database: Database, account: str, limits: Limits, count: int) -> float:
    """Reserve so many requests: 0.0, or the seconds until they may be free.

    A use counts until its whole slot is `limits.seconds` old: no window of that length holds more than
    `limits.requests`.
    """
    if limits.requests is None:
        with database.reading() as connection:
            return max(0.0, _paused_until(connection, account) - database.clock())
    slot = limits.seconds / SLOTS
    with database.writing() as connection:
        insert_missing(connection, tables.budget, {"account": account, "paused_until": 0.0})
        # On PostgreSQL the row lock makes processes take one after another; on SQLite the transaction does.
        paused_until = _paused_until(connection, account, lock=True)
        now = database.clock()
        if paused_until > now:
            return paused_until - now
        expires_at = math.floor(now / slot + 1) * slot + limits.seconds
        wait = _wait(_uses(connection, account, now, expires_at), limits.requests - count + 1, now)
        if wait == 0:
            _use(connection, account, expires_at, count)
        return wait


def pause(database: Database, account: str, seconds: float) -> None:
    """Let nobody take from the account for `seconds` from now; a pause that ends later stays."""
    until = database.clock() + seconds
    with database.writing() as connection:
        insert_missing(connection, tables.budget, {"account": account, "paused_until": until})
        later = (tables.budget.c.account == account) & (tables.budget.c.paused_until < until)
        connection.execute(sa.update(tables.budget).where(later).values(paused_until=until))


def _paused_until(connection: sa.Connection, account: str, lock: bool = False) -> float:
    query = sa.select(tables.budget.c.paused_until).where(tables.budget.c.account == account)
    return connection.execute(query.with_for_update() if lock else query).scalar() or 0.0


def _uses(connection: sa.Connection, account: str, now: float, latest: float) -> list[Any]:
    """(expires_at, requests) of the slots that count; expired ones are deleted.

    So are those later than `latest`, which come from before the clock was set back.
    """
    table = tables.budget_use
    expired = (table.c.expires_at <= now) | (table.c.expires_at > latest)
    connection.execute(sa.delete(table).where(table.c.account == account, expired))
    counted = sa.select(table.c.expires_at, table.c.requests).where(table.c.account == account)
    return list(connection.execute(counted.order_by(table.c.expires_at)))


def _wait(uses: list[Any], allowed: int, now: float) -> float:
    """Seconds until enough of the oldest slots have expired for less than `allowed` to be in use."""
    used = sum(requests for _, requests in uses)
    if used < allowed:
        return 0.0
    for expires_at, requests in uses:
        used -= requests
        if used < allowed:
            return float(expires_at - now)
    return math.inf


def _use(connection: sa.Connection, account: str, expires_at: float, count: int) -> None:
    statement = insert(connection, tables.budget_use)
    counted = statement.on_conflict_do_update(
        index_elements=["account", "expires_at"], set_={"requests": tables.budget_use.c.requests + count}
    )
    connection.execute(counted, {"account": account, "expires_at": expires_at, "requests": count})
