"""What a bridge and a twin say to each other."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from cdp_bridge.testing.relay import Headers, Relay, Request


@dataclass(frozen=True)
class Exchange:
    """A request, and what the twin answered."""

    request: Request
    status: int
    answer: bytes


class Ear(Relay):
    """Stands between a bridge and a twin and keeps every exchange, in `heard`."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.heard: list[Exchange] = []
        self._awaited = ""
        self._act: Callable[[], object] | None = None

    def once(self, path: str, act: Callable[[], object]) -> None:
        """Do something when the twin has done the next request to a path, and before it has answered."""
        self._awaited, self._act = path, act

    def ask(self, request: Request) -> tuple[int, Headers, bytes]:
        """The twin's answer to a request."""
        status, headers, answer = super().ask(request)
        self.heard.append(Exchange(request, status, answer))
        if self._act is not None and re.search(self._awaited, request.path):
            act, self._act = self._act, None
            act()
        return status, headers, answer
