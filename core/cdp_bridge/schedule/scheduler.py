"""The scheduler: looks where each audience stands, and asks the store for the runs that are due."""

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

LOOK = timedelta(seconds=5)
"""How soon a scheduler sees what other processes have changed: configuration, pauses, runs that others wait for."""

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
    """Asks for runs, each slot once, however many schedulers share the store and whenever they are killed.

    It has no thread and no clock: call `tick` with the time, again after `wait` seconds. `faults` holds, by audience,
    why some cannot be scheduled; the others are.
    """

    def __init__(self, store: Store) -> None:
        self.faults: dict[str, ConfigError] = {}
        self._store = store
        self._plans: dict[str, _Plan] = {}

    def tick(self, now: datetime) -> list[RunRequest]:
        """Ask for all runs that are due; the requests that were made, durably. `now` is in UTC."""
        standings = self._store.schedules.all()
        successes = {standing.audience: standing.successes for standing in standings}
        self._compile(standings)
        moves = []
        for standing in standings:
            plan = self._plans.get(standing.audience)
            move = _step(plan, standing, successes, now) if plan else None
            if plan and move:
                _foresee(plan, move.version + 1, move.last_slot)
                moves.append(move)
        return self._store.schedules.move(moves, now) if moves else []

    def wait(self, now: datetime) -> float:
        """Seconds until the next tick is of use; a few at most, since others may change the store."""
        starts = [plan.start for plan in self._plans.values() if plan.start]
        return max(0.0, min([LOOK, *(start - now for start in starts)]).total_seconds())

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
        # New, changed, or no longer paused: what lies before now is none of its slots.
        return here
    if standing.last_slot > now:
        # The clock was set back. Slots that come again are not asked for again: the store knows them.
        return replace(here, served=standing.served)
    if plan.timetable is not None:
        return _slot_step(plan, plan.timetable, standing, here)
    if plan.parents and all(count > standing.served.get(parent, 0) for parent, count in current.items()):
        return replace(here, slots=[None])
    return None


def _slot_step(plan: _Plan, timetable: Timetable, standing: Standing, here: Move) -> Move | None:
    if plan.version != standing.version:
        _foresee(plan, standing.version, standing.last_slot)
    now = here.last_slot
    if plan.start is None or plan.start > now:
        return None
    return replace(here, last_slot=timetable.latest(now), slots=timetable.due(standing.last_slot, now))


def _foresee(plan: _Plan, version: int, last_slot: datetime) -> None:
    """Note when the slot after that of a version starts, so that looking costs nothing until then."""
    if plan.timetable is not None:
        plan.version, plan.start = version, plan.timetable.next_start(last_slot)
