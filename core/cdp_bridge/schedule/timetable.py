"""Selects the slots of an audience that are due, by jitter and catch-up, without clock, store or randomness."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal, Protocol

MAX_SLOTS = 1_000
"""The most slots that `all` catches up with at once, the newest."""
ON_TIME = timedelta(minutes=1)
"""How late `skip` may start a slot."""

CatchUp = Literal["skip", "once", "all"]


class Slots(Protocol):
    """Moments in order, without end."""

    def after(self, moment: datetime) -> datetime:
        """The first slot after a moment."""

    def until(self, moment: datetime) -> Iterator[datetime]:
        """The slots up to and including a moment, newest first."""


class Timetable:
    """The slots of one audience.

    A slot is delayed by a part of `jitter` that is computed from audience and slot, but starts before the next slot. So
    slots start in order, and every scheduler computes the same times.
    """

    def __init__(
        self, audience: str, slots: Slots, *, jitter: timedelta = timedelta(0), catch_up: CatchUp = "once"
    ) -> None:
        self._audience, self._slots, self._jitter, self._catch_up = audience, slots, jitter, catch_up

    def due(self, last: datetime, now: datetime) -> list[datetime]:
        """The started slots after `last` that `catch_up` selects, oldest first."""
        started = itertools.takewhile(lambda slot: slot > last, self._started(now))
        if self._catch_up == "skip":
            started = itertools.takewhile(lambda slot: now - self._start(slot) <= ON_TIME, started)
        return list(itertools.islice(started, MAX_SLOTS if self._catch_up == "all" else 1))[::-1]

    def latest(self, now: datetime) -> datetime:
        """The newest slot that has started."""
        return next(self._started(now))

    def next_start(self, last: datetime) -> datetime:
        """When the slot after `last` starts; nothing is due before."""
        return self._start(self._slots.after(last))

    def _started(self, now: datetime) -> Iterator[datetime]:
        return itertools.dropwhile(lambda slot: self._start(slot) > now, self._slots.until(now))

    def _start(self, slot: datetime) -> datetime:
        if not self._jitter:
            return slot
        digest = hashlib.blake2b(f"{self._audience} {slot.timestamp()}".encode(), digest_size=6).digest()
        share = int.from_bytes(digest, "big") / 2**48
        return slot + share * min(self._jitter, self._slots.after(slot) - slot)
