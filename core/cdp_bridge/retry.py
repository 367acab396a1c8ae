"""Repeats calls after transient errors, with back-off and jitter or the wait that the other side asked for."""

from __future__ import annotations

import time
from collections.abc import Callable

import tenacity

from cdp_bridge.errors import TransientError

ATTEMPTS = 8
MAX_BACKOFF = 60.0
MAX_WAIT = 3_600.0
"""Seconds; a longer wait that the other side asks for is cut to this."""


def bounded(seconds: float | None) -> float:
    """A requested wait, limited to 0 to `MAX_WAIT` seconds."""
    return min(max(seconds or 0.0, 0.0), MAX_WAIT) if seconds == seconds else MAX_WAIT


def retrying(*, attempts: int = ATTEMPTS, sleep: Callable[[float], None] = time.sleep) -> tenacity.Retrying:
    """Calls again after a TransientError, at most `attempts` times in all; the last error is raised as it is.

    Waits `retry_after` seconds where the error has one, else an exponential back-off with jitter up to a minute.
    """
    backoff = tenacity.wait_exponential_jitter(multiplier=0.5, max=MAX_BACKOFF)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        requested = error.retry_after if isinstance(error, TransientError) else None
        return backoff(state) if requested is None else bounded(requested)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TransientError),
        stop=tenacity.stop_after_attempt(attempts),
        wait=wait,
        sleep=sleep,
        reraise=True,
    )
