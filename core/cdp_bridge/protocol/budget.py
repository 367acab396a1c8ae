"""The request budget of an executable that runs on its own, without a store to share one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from cdp_bridge.model import Limits


class ProcessBudget:
    """Reserves requests for this process only; other processes of the same account are not seen."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._taken: dict[str, deque[float]] = {}
        self._paused: dict[str, float] = {}

    def take(self, account: str, limits: Limits, count: int = 1) -> float:
        """Reserve requests: 0, or the seconds to wait before asking again."""
        now = self._clock()
        if (wait := self._paused.get(account, now) - now) > 0:
            return wait
        if limits.requests is None:
            return 0.0
        taken = self._taken.setdefault(account, deque())
        while taken and taken[0] <= now - limits.seconds:
            taken.popleft()
        excess = len(taken) + count - limits.requests
        if excess > 0:
            return taken[excess - 1] + limits.seconds - now
        taken.extend([now] * count)
        return 0.0

    def pause(self, account: str, seconds: float) -> None:
        """Keep away from the account for so long; a longer pause under way stays."""
        self._paused[account] = max(self._paused.get(account, 0.0), self._clock() + seconds)
