"""Runs as people ask for them: what was asked for and what came of it, in one list."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa

from ..entities import RequestState, Run, RunRequest, SyncLog
from . import tables
from .database import Database, struct_of

Position = tuple[datetime, str]
"""`at` and `id` of a run: neither ever changes."""

_request, _run = tables.run_request, tables.run


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
        asked, plain, recent = _statements(audience is not None, state is not None, before is not None)
        at, key = before or (None, None)
        given = {"audience": audience, "state": state, "at": at, "key": key, "limit": limit}
        with self._database.reading() as connection:
            rows = connection.execute(asked, given).all()
            if len(rows) == limit:
                # Without this, it would look for runs that nobody asked for through all of the past.
                plain, given["since"] = recent, rows[-1].requested_at
            places = [((row.requested_at, row.id), row, True) for row in rows]
            places += [((row.sync_timestamp, row.run_id), row, False) for row in connection.execute(plain, given).all()]
            newest = sorted(places, key=lambda place: place[0], reverse=True)[:limit]
            requests = [struct_of(RunRequest, row) for _, row, is_asked in newest if is_asked]
            others = [_of_log(struct_of(SyncLog, row)) for _, row, is_asked in newest if not is_asked]
            found = {(run.at, run.id): run for run in (*_of_requests(connection, requests), *others)}
        return [found[place] for place, _, _ in newest]

    def one(self, run_id: str) -> Run | None:
        """The run of that id, of a request or a record; one that goes on with its record so far."""
        with self._database.reading() as connection:
            asked = connection.execute(sa.select(_request).where(_request.c.id == run_id)).first()
            if asked is None:
                alone = sa.select(_run).where(_run.c.run_id == run_id)
                return next(map(_of_log, _logs(connection, alone)), None)
            (found,) = _of_requests(connection, [struct_of(RunRequest, asked)])
            if found.state == "running":
                going_on = (_run.c.audience == found.audience) & (_run.c.status == "running")
                newest = sa.select(_run).where(going_on).order_by(_run.c.sync_timestamp.desc()).limit(1)
                found = msgspec.structs.replace(found, log=next(iter(_logs(connection, newest)), None))
        return found


@cache
def _statements(of_audience: bool, in_state: bool, before: bool) -> tuple[sa.Select[Any], ...]:
    """Requests; runs that nobody asked for; of these, the ones `since` a moment. To make them takes as long as to run
    them.
    """
    asked = _older(sa.select(_request), _request.c.requested_at, _request.c.id, before)
    plain = _older(sa.select(_run).where(_unasked()), _run.c.sync_timestamp, _run.c.run_id, before)
    if of_audience:
        audience: sa.BindParameter[str] = sa.bindparam("audience")
        asked, plain = asked.where(_request.c.audience == audience), plain.where(_run.c.audience == audience)
    if in_state:
        state: sa.BindParameter[str] = sa.bindparam("state")
        asked, plain = asked.where(_request.c.state == state), plain.where(_run.c.status == state)
    return asked, plain, plain.where(_run.c.sync_timestamp >= sa.bindparam("since"))


def _older(wanted: sa.Select[Any], at: sa.Column[Any], key: sa.Column[Any], before: bool) -> sa.Select[Any]:
    if before:
        moment, own = sa.bindparam("at", type_=at.type), sa.bindparam("key", type_=key.type)
        wanted = wanted.where((at < moment) | ((at == moment) & (key < own)))
    return wanted.order_by(at.desc(), key.desc()).limit(sa.bindparam("limit"))


def _unasked() -> sa.ColumnElement[bool]:
    """Whether a record belongs to no request; what goes on is known to be a request's only by its audience."""
    mine = sa.select(_request.c.id).where(_request.c.run_id == _run.c.run_id)
    current = sa.select(_request.c.id).where(_request.c.audience == _run.c.audience, _request.c.state == "running")
    return ~sa.exists(mine) & ((_run.c.status != "running") | ~sa.exists(current))


def _of_requests(connection: sa.Connection, requests: list[RunRequest]) -> Iterable[Run]:
    ids = [request.run_id for request in requests if request.run_id]
    logs = {log.run_id: log for log in _logs(connection, sa.select(_run).where(_run.c.run_id.in_(ids)))} if ids else {}
    for request in requests:
        yield Run(
            id=request.id,
            audience=request.audience,
            at=request.requested_at,
            state=request.state,
            request=request,
            log=logs.get(request.run_id or ""),
        )


def _of_log(log: SyncLog) -> Run:
    return Run(id=log.run_id, audience=log.audience, at=log.sync_timestamp, state=log.status, log=log)


def _logs(connection: sa.Connection, wanted: sa.Select[Any]) -> list[SyncLog]:
    return [struct_of(SyncLog, row) for row in connection.execute(wanted).all()]
