"""Run requests and records of runs as one list, each request with its record."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace

from cdp_bridge.entities import RequestState, Run, RunRequest, SyncLog
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, struct_of, structs_of
from cdp_bridge.store.window import Shape, Window, statement

_NEWEST = Window()
_request, _run = tables.run_request, tables.run

# Made once: it takes as long as to run it.
_THE_REQUEST = sa.select(_request).where(_request.c.id == sa.bindparam("id"))
_THE_LOG = sa.select(_run).where(_run.c.run_id == sa.bindparam("id"))
_LOGS = sa.select(_run).where(_run.c.run_id.in_(sa.bindparam("ids", expanding=True)))
_RUNNING = (
    sa.select(_run)
    .where(_run.c.audience == sa.bindparam("audience"), _run.c.status == "running")
    .order_by(_run.c.sync_timestamp.desc())
    .limit(1)
)


class History:
    """All runs of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def listed(
        self, audience: str | None = None, state: RequestState | None = None, window: Window = _NEWEST
    ) -> list[Run]:
        """Runs in the order of `at` and `id`."""
        requested, others, near = _statements(audience is not None, state is not None, window.shape)
        given = {"audience": audience, "state": state, **window.parameters()}
        with self._database.reading() as connection:
            runs = [_of_request(each) for each in structs_of(RunRequest, connection.execute(requested, given).all())]
            if len(runs) == window.limit:
                # Without a bound, it would go through all runs for those that nobody requested.
                others, given["bound"] = near, runs[-1].at
            runs += map(_of_log, _logs(connection, others, given))
            ordered = sorted(runs, key=lambda run: (run.at, run.id), reverse=not window.oldest_first)
            return _with_logs(connection, ordered[: window.limit])

    def get(self, run_id: str) -> Run | None:
        """The run of that id, of a request or a record; a running one with its record so far."""
        with self._database.reading() as connection:
            row = connection.execute(_THE_REQUEST, {"id": run_id}).first()
            if row is None:
                return next(map(_of_log, _logs(connection, _THE_LOG, {"id": run_id})), None)
            (run,) = _with_logs(connection, [_of_request(struct_of(RunRequest, row))])
            if run.state == "running":
                so_far = _logs(connection, _RUNNING, {"audience": run.audience})
                run = replace(run, log=next(iter(so_far), None))
        return run


@cache
def _statements(of_audience: bool, in_state: bool, shape: Shape) -> tuple[sa.Select[Any], ...]:
    """Requests; runs that nobody requested; of these, the ones up to the `bound`."""
    asked_at, at = _request.c.requested_at, _run.c.sync_timestamp
    requested = statement(sa.select(_request), asked_at, (asked_at, _request.c.id), shape)
    others = statement(sa.select(_run).where(_is_unrequested()), at, (at, _run.c.run_id), shape)
    if of_audience:
        audience: sa.BindParameter[str] = sa.bindparam("audience")
        requested, others = requested.where(_request.c.audience == audience), others.where(_run.c.audience == audience)
    if in_state:
        state: sa.BindParameter[str] = sa.bindparam("state")
        requested, others = requested.where(_request.c.state == state), others.where(_run.c.status == state)
    bound = sa.bindparam("bound", type_=at.type)
    return requested, others, others.where(at <= bound if shape.oldest_first else at >= bound)


def _is_unrequested() -> sa.ColumnElement[bool]:
    """Whether a record belongs to no request; a running request has no run id yet, so its audience decides."""
    mine = sa.select(_request.c.id).where(_request.c.run_id == _run.c.run_id)
    current = sa.select(_request.c.id).where(_request.c.audience == _run.c.audience, _request.c.state == "running")
    return ~sa.exists(mine) & ((_run.c.status != "running") | ~sa.exists(current))


def _of_request(request: RunRequest) -> Run:
    return Run(id=request.id, audience=request.audience, at=request.requested_at, state=request.state, request=request)


def _of_log(log: SyncLog) -> Run:
    return Run(id=log.run_id, audience=log.audience, at=log.sync_timestamp, state=log.status, log=log)


def _with_logs(connection: sa.Connection, runs: list[Run]) -> list[Run]:
    """The runs, those of requests with their records."""
    ids = [run.request.run_id for run in runs if run.request and run.request.run_id]
    logs = {log.run_id: log for log in _logs(connection, _LOGS, {"ids": ids})} if ids else {}
    return [replace(run, log=logs.get(run.request.run_id or "")) if run.request else run for run in runs]


def _logs(connection: sa.Connection, query: sa.Select[Any], given: Mapping[str, Any]) -> list[SyncLog]:
    return structs_of(SyncLog, connection.execute(query, given).all())
