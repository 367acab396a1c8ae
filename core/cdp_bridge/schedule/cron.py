"""Computes the slots of cron lines; each wall-clock time counts once, also when clocks are changed."""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

# cronsim is BSD-licensed and typed. Neither croniter 7 nor the triggers of APScheduler 3.11 are typed, both give 02:30
# a second time when clocks go back, and to the latter weekday 0 is Monday.
from cronsim import CronSim, CronSimError

from cdp_bridge.errors import ConfigError

FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week")


class Cron:
    """The slots of a cron line of five fields: minute, hour, day of the month, month, weekday (0 and 7 are Sunday).

    A time that the clock skips becomes the moment of the change. A time that comes twice is a slot the first time only.
    But a line for every hour (`*`) has a slot in each hour that passes. Raises ConfigError that names the wrong field
    and its position.
    """

    def __init__(self, line: str, zone: ZoneInfo) -> None:
        _check(line)
        self._line, self._zone = line, zone
        self._every_hour = line.split()[1] == "*"

    def after(self, moment: datetime) -> datetime:
        """The first slot after a moment."""
        return min(next(walk) for walk in self._walks(moment, back=False))

    def until(self, moment: datetime) -> Iterator[datetime]:
        """The slots up to and including a moment, newest first."""
        return (slot for slot, _ in itertools.groupby(heapq.merge(*self._walks(moment, back=True), reverse=True)))

    def _walks(self, moment: datetime, *, back: bool) -> list[Iterator[datetime]]:
        return [self._walk(fold, moment, back=back) for fold in ((0, 1) if self._every_hour else (0,))]

    def _walk(self, fold: int, moment: datetime, *, back: bool) -> Iterator[datetime]:
        """The slots by the first (0) or second (1) meaning of a time that comes twice; never out of order."""
        local = moment.astimezone(self._zone).replace(tzinfo=None, microsecond=0)
        margin = abs(self._offset(moment + timedelta(days=1)) - self._offset(moment - timedelta(days=1)))
        # Walking back starts below the given time.
        begin = local + margin + timedelta(seconds=1) if back else local - margin
        for wall in CronSim(self._line, begin, reverse=back):
            slot = wall.replace(tzinfo=self._zone, fold=fold).astimezone(UTC)
            if slot.astimezone(self._zone).replace(tzinfo=None) != wall:
                if self._every_hour:
                    continue
                slot = self._end_of_gap(wall)
            if (slot <= moment) == back:
                yield slot

    def _end_of_gap(self, wall: datetime) -> datetime:
        """The moment of the clock change that skips this time."""
        # With the offset after the change the time lies before the change, with the offset before it, after.
        early, late = (wall.replace(tzinfo=self._zone, fold=fold).astimezone(UTC) for fold in (1, 0))
        moments = [early + timedelta(seconds=second) for second in range(int((late - early).total_seconds()) + 1)]
        return moments[bisect_left(moments, self._offset(late), key=self._offset)]

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self._zone).utcoffset() or timedelta(0)


def _check(line: str) -> None:
    parts = line.split()
    if len(parts) != len(FIELDS):
        raise ConfigError(
            f"a cron line has five fields, this one has {len(parts)}",
            remedy="Write minute, hour, day of the month, month and weekday: 30 6 * * 1-5",
        )
    column = 0
    for number, (name, part) in enumerate(zip(FIELDS, parts, strict=True)):
        column = line.index(part, column)
        alone = ["*"] * len(FIELDS)
        alone[number] = part
        try:
            CronSim(" ".join(alone), datetime(2000, 1, 1))  # noqa: DTZ001 - the line alone, in no time zone
        except (CronSimError, ValueError):
            raise ConfigError(
                f"the {name} {part} at character {column + 1} is not one", remedy=f"Write {_HINTS[name]}"
            ) from None
        column += len(part)
    _check_happens(line)


def _check_happens(line: str) -> None:
    try:
        next(CronSim(line, datetime(2000, 1, 1)))  # noqa: DTZ001 - the line alone, in no time zone
    except (CronSimError, StopIteration):
        raise ConfigError("no day is ever like that", remedy="Choose a day that its month has") from None


_HINTS = {
    "minute": "0-59, *, */15 or a list such as 0,30",
    "hour": "0-23, *, */6 or a list such as 8,20",
    "day-of-month": "1-31, *, or L for the last day",
    "month": "1-12, JAN-DEC or *",
    "day-of-week": "0-7, SUN-SAT or *; 0 and 7 are Sunday",
}
