"""A proxy that records the exchanges between a bridge and a twin."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from cdp_bridge.testing.relay import Headers, Relay, Request


@dataclass(frozen=True)
class Exchange:
    """A request and the answer of the twin."""

    request: Request
    status: int
    answer: bytes


class RecordingProxy(Relay):
    """Forwards requests to a twin and records every exchange, in `exchanges`."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.exchanges: list[Exchange] = []
        self._path = ""
        self._act: Callable[[], object] | None = None

    def once(self, path: str, act: Callable[[], object]) -> None:
        """Call `act` once the twin has handled the next request to a path, before the answer is sent."""
        self._path, self._act = path, act

    def ask(self, request: Request) -> tuple[int, Headers, bytes]:
        """The twin's answer to a request."""
        status, headers, answer = super().ask(request)
        self.exchanges.append(Exchange(request, status, answer))
        if self._act is not None and re.search(self._path, request.path):
            act, self._act = self._act, None
            act()
        return status, headers, answer
