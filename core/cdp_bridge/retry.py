"""Repeats calls after transient errors, bounds how long they wait, and says what they wait for when that takes long."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import NoReturn, ParamSpec, TypeVar

import tenacity
from msgspec import Struct

from cdp_bridge.errors import TransientError

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 8
PATIENCE = 120.0
"""Seconds after which a call is tried no more; waits that the other side asks for do not count."""
MAX_BACKOFF = 60.0
MAX_WAIT = 3_600.0
"""Seconds; a longer wait that the other side asks for is cut to this."""
SAID_AFTER = 10.0
"""Seconds of silence after which what is being waited for is said, once a wait."""

_backoff = tenacity.wait_exponential_jitter(multiplier=0.5, max=MAX_BACKOFF)


def bounded(seconds: float | None) -> float:
    """A requested wait, limited to 0 to `MAX_WAIT` seconds."""
    return min(max(seconds or 0.0, 0.0), MAX_WAIT) if seconds == seconds else MAX_WAIT


def retrying(*, attempts: int = ATTEMPTS, sleep: Callable[[float], None] = time.sleep) -> Retrying:
    """Calls again after a TransientError, at most `attempts` times in all; the last error is raised as it is.

    Waits `retry_after` seconds where the error has one, else an exponential back-off with jitter up to a minute. A call
    that has been tried for `PATIENCE` seconds is given up, and so is one inside which another one was given up.
    """
    return Retrying(attempts, sleep)


class Retrying:
    """Makes calls, and makes them again after a TransientError; see `retrying`."""

    def __init__(self, attempts: int, sleep: Callable[[float], None]) -> None:
        self._attempts, self._sleep = attempts, sleep

    def __call__(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of the call."""
        with calling(PATIENCE, self._attempts) as current:

            def begin(state: tenacity.RetryCallState) -> None:
                current.number = state.attempt_number

            tries = tenacity.Retrying(
                before=begin,
                retry=tenacity.retry_if_exception(_may_help),
                stop=self._is_over,
                wait=_wait,
                before_sleep=self._announce,
                sleep=self._sleep,
                retry_error_callback=_give_up,
            )
            return tries(call, *args, **kwargs)

    def _is_over(self, state: tenacity.RetryCallState) -> bool:
        left = time_left(asked=_requested(state) is not None)
        return state.attempt_number >= self._attempts or state.upcoming_sleep >= left

    def _announce(self, state: tenacity.RetryCallState) -> None:
        wait, is_requested = state.upcoming_sleep, _requested(state) is not None
        if is_requested:
            extend(wait)
        why = "as it asks for" if is_requested else f"gives up at {at(time_left())}"
        attempt = f"attempt {state.attempt_number + 1} of {self._attempts}"
        say(f"{_error(state)}; trying again at {at(wait)} ({attempt}, {why})", wait)


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _requested(state: tenacity.RetryCallState) -> float | None:
    error = _error(state)
    return error.retry_after if isinstance(error, TransientError) else None


def _wait(state: tenacity.RetryCallState) -> float:
    requested = _requested(state)
    return _backoff(state) if requested is None else bounded(requested)


def _may_help(error: BaseException) -> bool:
    return isinstance(error, TransientError) and not error.given_up


def _give_up(state: tenacity.RetryCallState) -> NoReturn:
    error = _error(state)
    assert isinstance(error, TransientError)
    error.given_up = True
    raise error


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
