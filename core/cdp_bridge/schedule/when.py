"""Turns a schedule into slots: by cron line or interval, its own or its connection's."""

from __future__ import annotations

import difflib
import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from msgspec.structs import replace

from cdp_bridge.entities import Schedule
from cdp_bridge.errors import ConfigError
from cdp_bridge.schedule.cron import Cron
from cdp_bridge.schedule.interval import Every, duration
from cdp_bridge.schedule.timetable import Slots

_WORDS = {"hourly": "0 * * * *", "daily": "0 0 * * *", "weekly": "0 0 * * 1", "monthly": "0 0 1 * *"}
_INTERVAL = re.compile(r"[1-9][0-9]{0,4}[smhdw]", re.ASCII)


def effective(schedule: Schedule, sync_schedule: str) -> Schedule:
    """The schedule, with the connection's `sync_schedule` if it has no time of its own."""
    if schedule.cron is not None or schedule.every is not None or schedule.after:
        return schedule
    if _INTERVAL.fullmatch(sync_schedule):
        return replace(schedule, every=sync_schedule)
    return replace(schedule, cron=_WORDS.get(sync_schedule, sync_schedule), time_zone="UTC")


def slots(schedule: Schedule) -> Slots:
    """The slots of a schedule by time; ConfigError with the wrong setting as its place."""
    if schedule.every is not None:
        return Every(duration(schedule.every))
    assert schedule.cron is not None, "a schedule after other syncs has no slots"
    zone = _zone(schedule.time_zone)
    try:
        return Cron(schedule.cron, zone)
    except ConfigError as error:
        raise ConfigError(error.problem, place="cron", remedy=error.remedy) from None


def text(schedule: Schedule) -> str:
    """The part of a schedule that determines its slots, as text; empty for a paused one."""
    if schedule.paused:
        return ""
    if schedule.after:
        return f"after {' '.join(schedule.after)}"
    return f"every {schedule.every}" if schedule.every else f"cron {schedule.cron} {schedule.time_zone}"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        close = difflib.get_close_matches(name, available_timezones(), n=1)
        remedy = f"Did you mean {close[0]}?" if close else "Name a city, such as Europe/Berlin, or UTC"
        raise ConfigError("there is no such time zone", place="time_zone", remedy=remedy) from None
