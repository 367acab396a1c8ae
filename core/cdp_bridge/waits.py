"""Bounds how long a call may wait for another side, and says what it waits for when that takes long."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta

from msgspec import Struct

log = logging.getLogger(__name__)

SAID_AFTER = 10.0
"""Seconds of silence after which what is being waited for is said, once a wait."""


class Call(Struct):
    """A call that is tried several times: until when, which try this is, until when its waits have been said.

    Times are of the monotonic clock, in seconds; `parent` is the call in which it is made.
    """

    until: float
    attempts: int
    said: float
    number: int = 1
    parent: Call | None = None


_limit: ContextVar[float] = ContextVar("limit", default=math.inf)
_call: ContextVar[Call | None] = ContextVar("call", default=None)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Let no call in the block go on for longer, whatever the other side asks for."""
    before = _limit.set(min(_limit.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _limit.reset(before)


@contextmanager
def calling(seconds: float, attempts: int) -> Iterator[Call]:
    """A call that waits so long for answers, and is tried so often."""
    now, parent = time.monotonic(), _call.get()
    until = min(now + seconds, parent.until) if parent else now + seconds
    call = Call(until, attempts, parent.said if parent else now, parent=parent)
    before = _call.set(call)
    try:
        yield call
    finally:
        _call.reset(before)


def extend(seconds: float) -> None:
    """Let the calls of now go on for so much longer, since the other side asks for the wait."""
    call = _call.get()
    while call:
        call.until += seconds
        call = call.parent


def time_left(*, asked: bool = False) -> float:
    """Seconds until the call of now is given up; `asked`: for a wait that the other side asks for."""
    call = _call.get()
    until = min(_limit.get(), call.until) if call and not asked else _limit.get()
    return until - time.monotonic()


def say(text: str, seconds: float) -> None:
    """Log that a wait of so many seconds begins, if there will have been silence for `SAID_AFTER` at its end."""
    end, call = time.monotonic() + seconds, _call.get()
    if end - (call.said if call else end - seconds) < SAID_AFTER:
        return
    log.warning("%s", text)
    while call:
        call.said, call = end, call.parent


@contextmanager
def waiting_for(host: str, seconds: float) -> Iterator[None]:
    """Log once that an answer of the host is waited for, for at most so many seconds, if the block takes long."""
    call, owner, now = _call.get(), threading.get_ident(), time.monotonic()
    is_last = call is None or call.number >= call.attempts
    end = at(seconds if is_last else time_left())
    attempt = f"attempt {call.number}, " if call else ""

    def tell() -> None:
        text = f"waiting for {host} ({attempt}gives up at {end})"
        record = log.makeRecord(log.name, logging.WARNING, __file__, 0, text, (), None)
        # A run's log has the lines of the run's own thread.
        record.thread = owner
        log.handle(record)

    silent = now - call.said if call else 0.0
    timer = threading.Timer(max(SAID_AFTER - silent, 0.1), tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def at(seconds: float) -> str:
    """The time of day in so many seconds, as logs have it."""
    return f"{datetime.now().astimezone() + timedelta(seconds=seconds):%H:%M:%S}"
