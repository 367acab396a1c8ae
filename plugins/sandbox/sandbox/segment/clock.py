"""The Segment twin's own clock, and the rate limits that are counted by it."""

import time
from collections import defaultdict, deque
from datetime import UTC, datetime
from typing import NamedTuple


class Clock:
    """Real time plus what it was told to advance; it can be frozen, so that a test decides when a window ends."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._frozen_at: float | None = None

    def seconds(self) -> float:
        """Seconds since the epoch."""
        base = time.time() if self._frozen_at is None else self._frozen_at
        return base + self._offset

    def now(self) -> datetime:
        """The same as an aware datetime in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def advance(self, seconds: float) -> None:
        """Jump forward."""
        self._offset += seconds

    def freeze(self, at: float | None = None) -> None:
        """Stop, at the given time or now."""
        self._frozen_at = self.seconds() if at is None else at
        self._offset = 0.0

    def run(self) -> None:
        """Go on from where it stands."""
        self._offset = self.seconds() - time.time()
        self._frozen_at = None


class Quota(NamedTuple):
    """The state of one limit after a request: whether it may pass and when the window is free again."""

    allowed: bool
    consumed: int
    remaining: int
    reset_seconds: float


class Limiter:
    """Sliding windows, one for each key."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._taken: defaultdict[str, deque[float]] = defaultdict(deque)

    def take(self, key: str, limit: int, window: float = 60.0) -> Quota:
        """Count one request against `limit` in the last `window` seconds; a refused one is not counted."""
        now = self._clock.seconds()
        taken = self._taken[key]
        while taken and taken[0] <= now - window:
            taken.popleft()
        if len(taken) >= limit:
            return Quota(False, len(taken) + 1, 0, taken[0] + window - now)
        taken.append(now)
        return Quota(True, len(taken), limit - len(taken), taken[0] + window - now)
