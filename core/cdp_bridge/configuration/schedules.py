"""The faults of the schedules in bridge.yaml: unreadable ones, unknown parents, audiences that wait for each other."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from cdp_bridge import schedule
from cdp_bridge.entities import Bridge, Schedule, Sync
from cdp_bridge.errors import ConfigError


def placed(bridge: Bridge) -> Iterator[tuple[str, Sync]]:
    """Everything that runs, each with its place in bridge.yaml."""
    for number, audience in enumerate(bridge.audiences):
        yield f"audiences.{number}", audience
    for number, feed in enumerate(bridge.conversions):
        yield f"conversions.{number}", feed


def faults(bridge: Bridge) -> Iterator[ConfigError]:
    """Every fault of the schedules, by dotted paths."""
    for number, connection in enumerate(bridge.connections):
        fault = _fault(schedule.effective(Schedule(), connection.sync_schedule))
        if fault:
            remedy = "Write hourly, daily, weekly, monthly, an interval such as 15m, or a cron line of five fields"
            yield ConfigError(fault.problem, place=f"connections.{number}.sync_schedule", remedy=remedy)
    for place, sync in placed(bridge):
        if sync.schedule:
            yield from _faults_of(sync.schedule, f"{place}.schedule")
    yield from _faults_of_parents(bridge)


def _faults_of(said: Schedule, place: str) -> Iterator[ConfigError]:
    ways = [way for way in ("cron", "every", "after") if getattr(said, way)]
    if len(ways) > 1:
        yield ConfigError(f"both {' and '.join(ways[:2])} say when", place=f"{place}.{ways[1]}", remedy="Keep one")
        return
    # The time zone is to be right even where it decides nothing.
    fault = _fault(said if said.cron is not None else Schedule(cron="0 0 * * *", time_zone=said.time_zone))
    if fault:
        yield ConfigError(fault.problem, place=f"{place}.{fault.place}", remedy=fault.remedy)


def _fault(said: Schedule) -> ConfigError | None:
    try:
        schedule.slots(said)
    except ConfigError as error:
        return error
    return None


def _faults_of_parents(bridge: Bridge) -> Iterator[ConfigError]:
    parents = {sync.name: sync.schedule.after if sync.schedule else () for sync in bridge.syncs}
    for outer, sync in placed(bridge):
        for position, parent in enumerate(parents[sync.name]):
            place = f"{outer}.schedule.after.{position}"
            if parent not in parents:
                close = difflib.get_close_matches(parent, parents, n=1)
                remedy = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(sorted(parents))}"
                yield ConfigError(f"there is no audience {parent}", place=place, remedy=remedy)
            elif way := _way(parents, parent, sync.name):
                circle = " after ".join((sync.name, *way))
                yield ConfigError(f"{circle} never starts", place=place, remedy="Take one of them out of the circle")


def _way(parents: dict[str, tuple[str, ...]], start: str, goal: str) -> list[str]:
    """A chain of parents from `start` to `goal`, empty when there is none."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop()
        if way[-1] == goal:
            return way
        further = [name for name in parents.get(way[-1], ()) if name not in seen]
        seen.update(further)
        ways += [[*way, name] for name in further]
    return []
