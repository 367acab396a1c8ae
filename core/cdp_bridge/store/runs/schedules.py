"""The state of each audience's schedule, changed by compare-and-set, so that several schedulers may work at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from cdp_bridge.entities import RunRequest, Schedule
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, by_chunks, insert_missing
from cdp_bridge.store.runs import requests

_STATE = ("version", "timetable", "last_slot", "served", "successes", "paused")
# Made once: it takes as long as to run it.
_PAUSED = (
    sa.select(tables.activation.c.name, tables.activation.c.schedule, tables.schedule.c.paused)
    .outerjoin(tables.schedule, tables.schedule.c.audience == tables.activation.c.name)
    .where(tables.activation.c.name.in_(sa.bindparam("names", expanding=True)))
)


class Standing(Struct, frozen=True, kw_only=True):
    """The schedule of an audience and its state.

    `last_slot` and `served` (the successes of each parent that this audience has followed) belong to `timetable`.
    `version` changes with each `Move`; `successes` counts the audience's own.
    """

    audience: str
    schedule: Schedule
    sync_schedule: str
    version: int = 0
    timetable: str = ""
    last_slot: datetime = tables.EPOCH
    served: dict[str, int] = {}
    successes: int = 0
    paused: bool = False


class Move(Struct, frozen=True, kw_only=True):
    """A step of a schedule from its `version`: its new state, and the slots to request runs for.

    A slot of None is a run without a moment of the timetable. With `merge`, no run is requested while an earlier
    scheduled one of the audience is still queued.
    """

    audience: str
    version: int
    timetable: str
    last_slot: datetime
    served: dict[str, int]
    slots: Sequence[datetime | None] = ()
    merge: bool = True


class Schedules:
    """The schedules of all configured audiences."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Standing]:
        """The schedule of every audience, in the order of bridge.yaml."""
        activation, state = tables.activation, tables.schedule
        query = (
            sa.select(activation.c.name, activation.c.schedule, tables.connection.c.sync_schedule)
            .add_columns(*(state.c[name] for name in _STATE))
            .join(tables.connection)
            .outerjoin(state, state.c.audience == activation.c.name)
            .order_by(activation.c.position)
        )
        with self._database.reading() as connection:
            return [_standing(row) for row in connection.execute(query)]

    def paused(self, audiences: Sequence[str]) -> set[str]:
        """Which of these configured audiences are paused."""
        with self._database.reading() as connection:
            return {
                row.name
                for chunk in by_chunks(audiences)
                for row in connection.execute(_PAUSED, {"names": chunk})
                if row.paused or (row.schedule or {}).get("paused")
            }

    def move(self, moves: Sequence[Move], at: datetime) -> list[RunRequest]:
        """Take these steps in one transaction, but not those that another scheduler has taken; the new requests."""
        added: list[RunRequest] = []
        with self._database.writing() as connection:
            queued = _queued(connection)
            # In one order, so that two schedulers on PostgreSQL cannot deadlock.
            for move in sorted(moves, key=lambda move: move.audience):
                if _take(connection, move) and not (move.merge and move.audience in queued):
                    added += requests.add_slots(connection, move.audience, move.slots, at)
        return added

    def pause(self, audience: str, paused: bool) -> None:
        """Stop scheduled runs of the audience, or start them again with the next slot; missed slots are skipped."""
        with self._database.writing() as connection:
            insert_missing(connection, tables.schedule, requests.new_schedule(audience))
            connection.execute(
                sa.update(tables.schedule).where(tables.schedule.c.audience == audience).values(paused=paused)
            )


def _standing(row: sa.Row[Any]) -> Standing:
    name, saved, sync_schedule, *known = tuple(row)
    # Read every few seconds, for every audience: by position, since reading by name would double the cost.
    state = dict(zip(_STATE, known, strict=True)) if known[0] is not None else {}
    schedule = msgspec.convert(saved or {}, Schedule)
    return Standing(audience=name, schedule=schedule, sync_schedule=sync_schedule, **state)


def _queued(connection: sa.Connection) -> set[str]:
    """The audiences that have a scheduled request in the queue."""
    table = tables.run_request
    scheduled = sa.select(table.c.audience).where(table.c.state == "queued", table.c.kind == "scheduled").distinct()
    return set(connection.execute(scheduled).scalars())


def _take(connection: sa.Connection, move: Move) -> bool:
    """Take the step unless another scheduler has; whether this one did."""
    table = tables.schedule
    if move.version == 0:
        insert_missing(connection, table, requests.new_schedule(move.audience))
    step = sa.update(table).where(table.c.audience == move.audience, table.c.version == move.version)
    changes = {
        "version": move.version + 1,
        "timetable": move.timetable,
        "last_slot": move.last_slot,
        "served": move.served,
    }
    return connection.execute(step.values(changes)).rowcount == 1
