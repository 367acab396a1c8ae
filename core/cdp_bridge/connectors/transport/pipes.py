"""Two pipes as a channel, and a connector's own process at one end of them."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import IO

from cdp_bridge.connectors.transport.serving import serve
from cdp_bridge.model import Connector
from cdp_bridge.redact import log_to


class Pipes:
    """A channel over two unbuffered or buffered binary files; `ending` says why the other side has ended."""

    def __init__(self, source: IO[bytes], target: IO[bytes], ending: Callable[[], str] = lambda: "has ended") -> None:
        self._source, self._target = source, target
        self.ending = ending

    def write(self, data: bytes) -> None:
        """See `Channel.write`."""
        self._target.write(data)
        self._target.flush()

    def read(self, size: int) -> bytes:
        """See `Channel.read`."""
        return self._source.read(size)


def serve_process(connector: Connector) -> None:
    """Obey the core on this process's stdin until it ends; what anything prints goes to stderr, as the log does."""
    log_to(sys.stderr, logging.INFO)
    sys.stdout.flush()
    answers = os.dup(1)
    # Also what a library in C prints must not end up among the frames.
    os.dup2(2, 1)
    with open(answers, "wb") as target:
        serve(connector, Pipes(sys.stdin.buffer, target))
