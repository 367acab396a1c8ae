"""Repeats calls after transient errors, with back-off and jitter or the wait that the other side asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NoReturn, ParamSpec, TypeVar

import tenacity

from cdp_bridge import waits
from cdp_bridge.errors import TransientError

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 8
PATIENCE = 120.0
"""Seconds after which a call is tried no more; waits that the other side asks for do not count."""
MAX_BACKOFF = 60.0
MAX_WAIT = 3_600.0
"""Seconds; a longer wait that the other side asks for is cut to this."""

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
        with waits.calling(PATIENCE, self._attempts) as current:

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
        left = waits.time_left(asked=_requested(state) is not None)
        return state.attempt_number >= self._attempts or state.upcoming_sleep >= left

    def _announce(self, state: tenacity.RetryCallState) -> None:
        wait, is_requested = state.upcoming_sleep, _requested(state) is not None
        if is_requested:
            waits.extend(wait)
        why = "as it asks for" if is_requested else f"gives up at {waits.at(waits.time_left())}"
        attempt = f"attempt {state.attempt_number + 1} of {self._attempts}"
        waits.say(f"{_error(state)}; trying again at {waits.at(wait)} ({attempt}, {why})", wait)


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
