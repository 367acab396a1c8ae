"""Run requests and records of runs as one list, each request with its record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace

from cdp_bridge.entities import RequestState, Run, RunRequest, SyncLog
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, struct_of, structs_of

Position = tuple[datetime, str]
"""`at` and `id` of a run: neither ever changes."""

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

    def newest(
        self,
        audience: str | None = None,
        state: RequestState | None = None,
        before: Position | None = None,
        limit: int = 50,
    ) -> list[Run]:
        """Runs, newest first, older than a position if one is given."""
        requested, others, recent = _statements(audience is not None, state is not None, before is not None)
        at, key = before or (None, None)
        given = {"audience": audience, "state": state, "at": at, "key": key, "limit": limit}
        with self._database.reading() as connection:
            runs = [_of_request(each) for each in structs_of(RunRequest, connection.execute(requested, given).all())]
            if len(runs) == limit:
                # Without a lower bound, it would go through all runs for those that nobody requested.
                others, given["since"] = recent, runs[-1].at
            runs += map(_of_log, _logs(connection, others, given))
            newest = sorted(runs, key=lambda run: (run.at, run.id), reverse=True)[:limit]
            return _with_logs(connection, newest)

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
def _statements(of_audience: bool, in_state: bool, before: bool) -> tuple[sa.Select[Any], ...]:
    """Requests; runs that nobody requested; of these, the ones `since` a moment."""
    requested = _older(sa.select(_request), _request.c.requested_at, _request.c.id, before)
    others = _older(sa.select(_run).where(_is_unrequested()), _run.c.sync_timestamp, _run.c.run_id, before)
    if of_audience:
        audience: sa.BindParameter[str] = sa.bindparam("audience")
        requested, others = requested.where(_request.c.audience == audience), others.where(_run.c.audience == audience)
    if in_state:
        state: sa.BindParameter[str] = sa.bindparam("state")
        requested, others = requested.where(_request.c.state == state), others.where(_run.c.status == state)
    return requested, others, others.where(_run.c.sync_timestamp >= sa.bindparam("since"))


def _older(query: sa.Select[Any], at: sa.Column[Any], key: sa.Column[Any], before: bool) -> sa.Select[Any]:
    if before:
        moment, own = sa.bindparam("at", type_=at.type), sa.bindparam("key", type_=key.type)
        query = query.where((at < moment) | ((at == moment) & (key < own)))
    return query.order_by(at.desc(), key.desc()).limit(sa.bindparam("limit"))


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
