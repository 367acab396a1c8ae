"""Who may work on something just now: leases that expire, with fencing tokens against holders that wake up late."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from cdp_bridge.errors import BridgeError
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, insert

log = logging.getLogger(__name__)


class LeaseHeldError(BridgeError):
    """Somebody else holds the lease: `holder`, until `until` unless it is renewed."""

    def __init__(self, name: str, holder: str, until: datetime) -> None:
        self.holder, self.until = holder, until
        super().__init__(f"{name} is in use by {holder}, until {until:%Y-%m-%d %H:%M:%S} UTC if it does not go on")


class LeaseLostError(BridgeError):
    """The lease expired or was taken over; nothing was written, and the holder must stop."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} was held for too long without a sign of life; another run may have taken over")


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
        row = {"name": name, "token": 1, "holder": _holder(), "expires_at": now + seconds}
        changes = {"token": table.c.token + 1, "holder": row["holder"], "expires_at": row["expires_at"]}
        free = table.c.expires_at <= now
        taken = statement.on_conflict_do_update(index_elements=["name"], set_=changes, where=free).returning(
            table.c.token
        )
        token: int | None = connection.execute(taken, row).scalar()
        if token is not None:
            return token
        held = connection.execute(sa.select(table).where(table.c.name == name).with_for_update()).one()
        if not _is_dead(held.holder):
            raise LeaseHeldError(name, held.holder, datetime.fromtimestamp(held.expires_at, UTC))
        connection.execute(sa.update(table).where(table.c.name == name).values(changes))
        return int(held.token) + 1


def _holder() -> str:
    return f"process {os.getpid()} on {_where()}"


def _where() -> str:
    """This machine or container: process numbers mean something only within one."""
    try:
        return f"{socket.gethostname()} {Path('/proc/self/ns/pid').readlink().name}"
    except OSError:
        return socket.gethostname()


def _is_dead(holder: str) -> bool:
    """Whether the holder was a process of this machine that is gone: then nobody need wait for the lease to expire."""
    _, pid, _, where = holder.split(" ", 3)
    if where != _where():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
