"""Computes the slots of intervals, counted from the beginning of 1970 UTC."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def duration(interval: str) -> timedelta:
    """The length of an `entities.Interval`."""
    return timedelta(seconds=int(interval[:-1]) * _SECONDS[interval[-1]])


class Every:
    """The slots of an interval; since all count from 1970, every scheduler computes the same ones."""

    def __init__(self, interval: timedelta) -> None:
        self._interval = interval

    def after(self, moment: datetime) -> datetime:
        """The first slot after a moment."""
        return self._at(self._number(moment) + 1)

    def until(self, moment: datetime) -> Iterator[datetime]:
        """The slots up to and including a moment, newest first."""
        return map(self._at, itertools.count(self._number(moment), -1))

    def _number(self, moment: datetime) -> int:
        return (moment - EPOCH) // self._interval

    def _at(self, number: int) -> datetime:
        return EPOCH + number * self._interval
