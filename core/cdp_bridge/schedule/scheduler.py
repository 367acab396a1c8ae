"""Requests the runs that are due from the store."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from cdp_bridge.entities import RunRequest, Schedule
from cdp_bridge.errors import ConfigError
from cdp_bridge.schedule.interval import duration
from cdp_bridge.schedule.timetable import Timetable
from cdp_bridge.schedule.when import effective, slots, text
from cdp_bridge.store import Store
from cdp_bridge.store.runs.schedules import Move, Standing

REFRESH = timedelta(seconds=5)
"""The longest time until changes of other processes are seen: configuration, pauses, ended runs."""

log = logging.getLogger(__name__)


class _Plan(Struct):
    """A compiled schedule. `start` is when the slot after that of `version` starts."""

    schedule: Schedule
    sync_schedule: str
    parents: Sequence[str]
    text: str
    timetable: Timetable | None
    merge: bool
    version: int = -1
    start: datetime | None = None


class Scheduler:
    """Requests runs, each slot once, for any number of schedulers that share a store and may be killed.

    It has no thread and no clock: call `tick` with the time, again after `wait` seconds. `faults` holds, by audience,
    the errors of those that cannot be scheduled.
    """

    def __init__(self, store: Store) -> None:
        self.faults: dict[str, ConfigError] = {}
        self._store = store
        self._plans: dict[str, _Plan] = {}

    def tick(self, now: datetime) -> list[RunRequest]:
        """Request all runs that are due; the requests, which are stored. `now` is in UTC."""
        standings = self._store.schedules.all()
        successes = {standing.audience: standing.successes for standing in standings}
        self._compile(standings)
        moves = []
        for standing in standings:
            plan = self._plans.get(standing.audience)
            move = _step(plan, standing, successes, now) if plan else None
            if plan and move:
                _set_next_start(plan, move.version + 1, move.last_slot)
                moves.append(move)
        return self._store.schedules.move(moves, now) if moves else []

    def wait(self, now: datetime) -> float:
        """Seconds until the next tick; a few at most, since others may change the store."""
        starts = [plan.start for plan in self._plans.values() if plan.start]
        return max(0.0, min([REFRESH, *(start - now for start in starts)]).total_seconds())

    def _compile(self, standings: Sequence[Standing]) -> None:
        """Bring the plans up to date; only those that changed are compiled."""
        before, self._plans, self.faults = (self._plans, self.faults), {}, {}
        for standing in standings:
            name = standing.audience
            plan = before[0].get(name)
            schedule = replace(standing.schedule, paused=True) if standing.paused else standing.schedule
            if plan and plan.schedule == schedule and plan.sync_schedule == standing.sync_schedule:
                self._plans[name] = plan
                continue
            try:
                self._plans[name] = _compiled(name, schedule, standing.sync_schedule)
            except ConfigError as fault:
                self.faults[name] = fault
                if name not in before[1]:
                    log.warning("%s is not scheduled: %s", name, fault)


def _compiled(audience: str, schedule: Schedule, sync_schedule: str) -> _Plan:
    meant = effective(schedule, sync_schedule)
    timetable = None
    if not (meant.paused or meant.after):
        jitter = duration(meant.jitter) if meant.jitter else timedelta(0)
        timetable = Timetable(audience, slots(meant), jitter=jitter, catch_up=meant.catch_up)
    return _Plan(schedule, sync_schedule, meant.after, text(meant), timetable, merge=meant.catch_up != "all")


def _step(plan: _Plan, standing: Standing, successes: Mapping[str, int], now: datetime) -> Move | None:
    """The next step of an audience, if there is one now."""
    current = {parent: successes.get(parent, 0) for parent in plan.parents}
    here = Move(
        audience=standing.audience,
        version=standing.version,
        timetable=plan.text,
        last_slot=now,
        served=current,
        merge=plan.merge,
    )
    if standing.timetable != plan.text:
        # New, changed, or no longer paused: it has no slots before now.
        return here
    if standing.last_slot > now:
        # The clock was set back. The store knows the slots that come again, and requests none twice.
        return replace(here, served=standing.served)
    if plan.timetable is not None:
        return _slot_step(plan, plan.timetable, standing, here)
    if plan.parents and all(count > standing.served.get(parent, 0) for parent, count in current.items()):
        return replace(here, slots=[None])
    return None


def _slot_step(plan: _Plan, timetable: Timetable, standing: Standing, here: Move) -> Move | None:
    if plan.version != standing.version:
        _set_next_start(plan, standing.version, standing.last_slot)
    now = here.last_slot
    if plan.start is None or plan.start > now:
        return None
    return replace(here, last_slot=timetable.latest(now), slots=timetable.due(standing.last_slot, now))


def _set_next_start(plan: _Plan, version: int, last_slot: datetime) -> None:
    """Compute when the slot after that of a version starts, so that ticks before it cost nothing."""
    if plan.timetable is not None:
        plan.version, plan.start = version, plan.timetable.next_start(last_slot)
