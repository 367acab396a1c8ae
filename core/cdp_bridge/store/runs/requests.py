"""Run requests: queued, started once under a lease of their audience, finished, retried."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa

from cdp_bridge.entities import RequestState, RunRequest
from cdp_bridge.store import leases, tables
from cdp_bridge.store.database import Database, insert, insert_missing, row_of, struct_of, structs_of
from cdp_bridge.store.leases import Lease

End = Literal["succeeded", "failed", "partial", "waiting", "cancelled"]
_table = tables.run_request


class Requests:
    """The run requests of a store; see `RunRequest`.

    A worker calls `hold` (one run of an audience at a time), `start`, `get` now and then (is it `cancelling`?), and
    `finish` or `hand_back`. A request that was running when its worker died can be started again by the next holder.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, audience: str, requested_by: str, *, approve_removals: bool = False) -> RunRequest:
        """Ask for a run now; several requests of an audience are run one after the other."""
        added = new_request(audience, "manual", self._now(), requested_by, approve_removals=approve_removals)
        with self._database.writing() as connection:
            connection.execute(sa.insert(_table), row_of(_table, added))
        return added

    def get(self, request_id: str) -> RunRequest | None:
        """The request of that id, or None."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(_table).where(_table.c.id == request_id)).first()
        return struct_of(RunRequest, row) if row else None

    def newest(
        self, audience: str | None = None, state: RequestState | None = None, limit: int = 50
    ) -> list[RunRequest]:
        """Requests, newest first, of one audience or in one state if so asked."""
        query = sa.select(_table).order_by(_table.c.requested_at.desc(), _table.c.id.desc()).limit(limit)
        if audience is not None:
            query = query.where(_table.c.audience == audience)
        if state is not None:
            query = query.where(_table.c.state == state)
        with self._database.reading() as connection:
            return structs_of(RunRequest, connection.execute(query).all())

    def ready(self, limit: int = 1_000) -> list[RunRequest]:
        """Queued requests that may start now, oldest first."""
        query = (
            sa.select(_table)
            .where(is_ready(self._now()))
            .order_by(_table.c.requested_at, _table.c.slot, _table.c.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return structs_of(RunRequest, connection.execute(query).all())

    def hold(self, audience: str, seconds: float = 60) -> AbstractContextManager[Lease]:
        """The right to run an audience, requested or not, for a `with` block; LeaseHeldError when somebody else has it.

        The holder must `renew` before `seconds` are over.
        """
        return leases.hold(self._database, _lease_name(audience), seconds)

    def start(self, request_id: str, lease: Lease) -> RunRequest | None:
        """Start a request that is due, or that an earlier holder left running; None when it is neither.

        Raises LeaseLostError. One that was being cancelled when its worker died ends as cancelled.
        """
        now = self._now()
        with self._database.writing() as connection:
            request = self._fenced(connection, request_id, lease)
            if request is None:
                return None
            is_takeover = request.state == "running" and (request.token or 0) < lease.token
            if not (is_takeover or _may_start(request, now)):
                return None
            if request.cancelling:
                _change(connection, request_id, state="cancelled", finished_at=now)
                return None
            takeovers = request.takeovers + is_takeover
            _change(connection, request_id, state="running", started_at=now, token=lease.token, takeovers=takeovers)
            row = connection.execute(sa.select(_table).where(_table.c.id == request_id)).one()
        return struct_of(RunRequest, row)

    def hand_back(self, request_id: str, lease: Lease) -> None:
        """Queue a request again that was started under this lease, because its worker shuts down.

        Raises LeaseLostError. A request that is not running under this lease stays as it is.
        """
        with self._database.writing() as connection:
            request = self._fenced(connection, request_id, lease)
            if request and request.state == "running" and request.token == lease.token:
                _change(connection, request_id, state="queued")

    def finish(
        self, request_id: str, lease: Lease, state: End, run_id: str | None = None, retry_at: datetime | None = None
    ) -> RunRequest | None:
        """Record the end of a request that was started under this lease; the retry that it leads to, if any.

        `retry_at` asks for one; there is none when the request is being cancelled or another one of the audience is
        queued already. Raises LeaseLostError. A request that is not running under this lease stays as it is.
        """
        now = self._now()
        with self._database.writing() as connection:
            request = self._fenced(connection, request_id, lease)
            if request is None or request.state != "running" or request.token != lease.token:
                return None
            _change(connection, request_id, state=state, finished_at=now, run_id=run_id)
            if state == "succeeded":
                _count_success(connection, request.audience)
            if retry_at is None or request.cancelling or _is_queued(connection, request.audience):
                return None
            retry = new_request(
                request.audience,
                "retry",
                now,
                request.requested_by,
                attempt=request.attempt + 1,
                retry_of=request_id,
                not_before=retry_at,
                approve_removals=request.approve_removals,
            )
            connection.execute(sa.insert(_table), row_of(_table, retry))
        return retry

    def cancel(self, request_id: str) -> RunRequest | None:
        """Cancel a queued request, or ask the worker of a running one to stop; the request then, None when unknown."""
        mine = _table.c.id == request_id
        with self._database.writing() as connection:
            connection.execute(
                sa.update(_table)
                .where(mine, _table.c.state == "queued")
                .values(state="cancelled", finished_at=self._now())
            )
            connection.execute(sa.update(_table).where(mine, _table.c.state == "running").values(cancelling=True))
            row = connection.execute(sa.select(_table).where(mine)).first()
        return struct_of(RunRequest, row) if row else None

    def _fenced(self, connection: sa.Connection, request_id: str, lease: Lease) -> RunRequest | None:
        """The request, locked, under a lease that is still held."""
        leases.fence(connection, lease, self._database.clock())
        row = connection.execute(sa.select(_table).where(_table.c.id == request_id).with_for_update()).first()
        if row is None:
            return None
        assert lease.name == _lease_name(row.audience), "the lease is for another audience"
        return struct_of(RunRequest, row)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._database.clock(), UTC)


def new_request(audience: str, kind: Any, at: datetime, by: str, **more: Any) -> RunRequest:
    """A queued request with a new id."""
    return RunRequest(id=uuid.uuid4().hex, audience=audience, kind=kind, requested_at=at, requested_by=by, **more)


def add_slots(
    connection: sa.Connection, audience: str, slots: Sequence[datetime | None], at: datetime
) -> list[RunRequest]:
    """Ask for scheduled runs; a slot that was asked for before is left out."""
    requests = [new_request(audience, "scheduled", at, "schedule", slot=slot) for slot in slots]
    if not requests:
        return []
    statement = insert(connection, _table).on_conflict_do_nothing().returning(_table.c.id)
    added = set(connection.execute(statement, [row_of(_table, each) for each in requests]).scalars())
    return [each for each in requests if each.id in added]


def is_ready(now: datetime) -> sa.ColumnElement[bool]:
    """Whether a request may start; `_may_start` in SQL."""
    return (_table.c.state == "queued") & (
        _table.c.not_before.is_(None) | (_table.c.not_before <= now) | (_table.c.requested_at > now)
    )


def _may_start(request: RunRequest, now: datetime) -> bool:
    """Whether a queued request is due; one from the future, after the clock was set back, does not wait."""
    waits = request.not_before is not None and request.not_before > now >= request.requested_at
    return request.state == "queued" and not waits


def _change(connection: sa.Connection, request_id: str, **values: Any) -> None:
    connection.execute(sa.update(_table).where(_table.c.id == request_id).values(values))


def _is_queued(connection: sa.Connection, audience: str) -> bool:
    queued = sa.select(_table.c.id).where(_table.c.audience == audience, _table.c.state == "queued").limit(1)
    return connection.execute(queued).first() is not None


def _count_success(connection: sa.Connection, audience: str) -> None:
    """Count a success, for audiences that are synced after this one; times would not do, clocks may be set back."""
    insert_missing(connection, tables.schedule, new_schedule(audience))
    counted = {"successes": tables.schedule.c.successes + 1}
    connection.execute(sa.update(tables.schedule).where(tables.schedule.c.audience == audience).values(counted))


def new_schedule(audience: str) -> dict[str, Any]:
    """The schedule row of an audience that has none yet."""
    return {
        "audience": audience,
        "version": 0,
        "timetable": "",
        "last_slot": tables.EPOCH,
        "served": {},
        "successes": 0,
        "paused": False,
    }


def _lease_name(audience: str) -> str:
    return f"audience:{audience}"
