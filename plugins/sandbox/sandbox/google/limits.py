"""Requests of the Cloud project per minute and day (google.md 4.5)."""

from sandbox.google.config import Config
from sandbox.google.errors import over_quota

MINUTE, DAY = 60, 86_400


class Budget:
    """What the project called in the running minute and day."""

    def __init__(self) -> None:
        self._used = {MINUTE: (0, 0), DAY: (0, 0)}

    def spend(self, now: float, config: Config, service: str) -> None:
        """Count one request. Raises ApiError 429 without counting."""
        spent = {}
        for size, name, most in ((MINUTE, "minute", config.per_minute), (DAY, "day", config.per_day)):
            window, count = self._used[size]
            count = count if window == now // size else 0
            if count >= most:
                raise over_quota(service, name, most, config.project)
            spent[size] = int(now // size), count + 1
        self._used = spent
