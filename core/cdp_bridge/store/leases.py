"""Leases: who may work on something now, with an expiry and fencing tokens against holders that wake up late."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import sqlalchemy as sa

from cdp_bridge import processes
from cdp_bridge.errors import BridgeError
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, insert

log = logging.getLogger(__name__)


class LeaseHeldError(BridgeError):
    """Somebody else holds the lease: `holder`, until `until` unless it is renewed."""

    def __init__(self, name: str, holder: str, until: datetime) -> None:
        self.holder, self.until = holder, until
        super().__init__(f"{name} is in use by {holder}, until {until:%Y-%m-%d %H:%M:%S} UTC unless it is renewed")


class LeaseLostError(BridgeError):
    """The lease expired or was taken over; nothing was written, and the holder must stop."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} was not renewed in time; another run may have taken over")


class Lease:
    """The right to work on `name`; `token` is higher than that of every earlier holder."""

    def __init__(self, database: Database, name: str, token: int, seconds: float) -> None:
        self.name, self.token = name, token
        self._database, self._seconds = database, seconds

    def renew(self) -> None:
        """Hold it for its full time from now; LeaseLostError when somebody has taken over."""
        if not self._expire(self._database.clock() + self._seconds):
            raise LeaseLostError(self.name)

    def release(self) -> None:
        """Give it back; no error when it is lost already."""
        self._expire(0.0)

    def _expire(self, at: float) -> bool:
        mine = (tables.lease.c.name == self.name) & (tables.lease.c.token == self.token)
        with self._database.writing() as connection:
            return connection.execute(sa.update(tables.lease).where(mine).values(expires_at=at)).rowcount == 1


@contextmanager
def hold(database: Database, name: str, seconds: float) -> Iterator[Lease]:
    """Take a lease for the length of the block; LeaseHeldError at once when somebody else has it."""
    lease = Lease(database, name, _acquire(database, name, seconds), seconds)
    try:
        yield lease
    finally:
        try:
            lease.release()
        except BridgeError as error:
            # It expires by itself; what went wrong in the block matters more.
            log.warning("the lease %s could not be given back: %s", name, error)


def fence(connection: sa.Connection, lease: Lease, now: float) -> None:
    """Raise LeaseLostError unless the lease is the newest and not expired; until the transaction ends it stays so."""
    mine = (
        (tables.lease.c.name == lease.name) & (tables.lease.c.token == lease.token) & (tables.lease.c.expires_at > now)
    )
    if connection.execute(sa.select(tables.lease.c.token).where(mine).with_for_update()).scalar() is None:
        raise LeaseLostError(lease.name)


def _acquire(database: Database, name: str, seconds: float) -> int:
    table, now = tables.lease, database.clock()
    with database.writing() as connection:
        statement = insert(connection, table)
        row = {"name": name, "token": 1, "holder": processes.this_process(), "expires_at": now + seconds}
        changes = {"token": table.c.token + 1, "holder": row["holder"], "expires_at": row["expires_at"]}
        free = table.c.expires_at <= now
        take_free = statement.on_conflict_do_update(index_elements=["name"], set_=changes, where=free)
        token: int | None = connection.execute(take_free.returning(table.c.token), row).scalar()
        if token is not None:
            return token
        held = connection.execute(sa.select(table).where(table.c.name == name).with_for_update()).one()
        if not processes.is_dead(held.holder):
            raise LeaseHeldError(name, processes.readable(held.holder), datetime.fromtimestamp(held.expires_at, UTC))
        connection.execute(sa.update(table).where(table.c.name == name).values(changes))
        return int(held.token) + 1
