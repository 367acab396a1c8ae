"""Says how long to wait after a limit error, which does not say which limit it is (tiktok.md 2)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from destination_tiktok.errors import LimitedError

MAX_WAIT = 300.0
"""Seconds without a call that TikTok wants once a minute's requests are used up."""


class RateLimit:
    """Remembers between the calls of one writer whether the last one met a limit."""

    def __init__(self) -> None:
        self._limited = False

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Around a call: a limit error that it raises says how long to wait."""
        try:
            yield
        except LimitedError as error:
            # The first time only a second may be full; another call within the minute prolongs the wait.
            again, self._limited = self._limited, True
            raise LimitedError(error.problem, retry_after=MAX_WAIT if again else error.retry_after) from None
        self._limited = False
