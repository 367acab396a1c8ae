"""Limits calls per second, minute and day of one app at one endpoint (contract 2)."""

from collections import defaultdict

from sandbox.tiktok.config import App
from sandbox.tiktok.errors import ApiError

SECOND, MINUTE, DAY = WINDOWS = (1, 60, 86_400)
SILENCE = 300.0
"""Seconds to stay silent after a breach of the minute."""

EVENTS = (1_000, 600_000, 86_400_000)
EVENTS_PATH = "event/track/"


class Budget:
    """What was called in the running second, minute and day; days end at 00:00 UTC."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
        self._silent_until: dict[str, float] = {}

    def spend(self, now: float, app: App, endpoint: str) -> None:
        """Count one call. Raises ApiError 40100 without counting."""
        if now < self._silent_until.get(endpoint, 0.0):
            raise _too_many()
        counts = []
        for size, most in zip(WINDOWS, EVENTS if endpoint == EVENTS_PATH else app.limits, strict=True):
            count, window = self._used[endpoint, size], int(now // size)
            if count[0] != window:
                count[:] = window, 0
            if count[1] >= most:
                if size == MINUTE:
                    self._silent_until[endpoint] = now + SILENCE
                raise _too_many()
            counts.append(count)
        for count in counts:
            count[1] += 1


def _too_many() -> ApiError:
    return ApiError(40100, "Too many requests. Please retry in some time.")
