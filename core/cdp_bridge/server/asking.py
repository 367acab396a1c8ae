"""Connectors, asked while somebody waits for the answer: a few at a time, each for a limited time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from ..errors import BridgeError, TransientError
from ..model import Channel, Connector, Launcher, Probe
from ..registry import Registry
from ..settings import Resolve
from ..sync.account import Account, check, discovered

T = TypeVar("T")
log = logging.getLogger(__name__)

SECONDS = 60.0
"""How long a connector may take over what it is asked."""
MOST = 4
"""How many are asked at once."""


class NoAnswerError(BridgeError):
    """A connector has not answered in time."""


class Asking:
    """Asks connectors in processes that `launcher` starts, as runs do; None: in this one.

    A process that does not answer in time is ended. A connector that hangs in this process cannot be; it is asked
    nothing more before it has come back. Both functions raise NoAnswerError after `SECONDS`, and TransientError when
    `MOST` are asked already.
    """

    def __init__(self, registry: Registry, resolve: Resolve, launcher: Launcher | None = None) -> None:
        self._registry, self._resolve = registry, resolve
        self._launcher = _Limited(launcher) if launcher else None
        self._free = threading.BoundedSemaphore(MOST)
        self._late: set[str] = set()

    def check(self, name: str, raw: dict[str, Any]) -> list[Probe]:
        """The probes of a connector under these settings; ConfigError if there is no such connector."""
        connector = self._registry.connector(name)
        return self._wait(name, lambda: check(self._registry, connector, raw, self._resolve, self._launcher))

    def discover(self, name: str, raw: dict[str, Any], question: Callable[[Account], T]) -> T:
        """The answer of an account to a question; ConfigError, TransientError and others as its connector raises
        them.
        """
        connector = self._registry.connector(name)

        def ask() -> T:
            with discovered(self._registry, connector, raw, self._resolve, self._launcher) as account:
                return question(account)

        return self._wait(name, ask)

    def _wait(self, name: str, ask: Callable[[], T]) -> T:
        if name in self._late:
            raise NoAnswerError(f"{name} is still busy with what it was asked before, and did not answer in time")
        if not self._free.acquire(blocking=False):
            raise TransientError("too many connectors are being asked at once")
        answer: Future[T] = Future()

        def work() -> None:
            try:
                answer.set_result(ask())
            except BaseException as error:
                answer.set_exception(error)
            finally:
                self._free.release()
                self._late.discard(name)

        threading.Thread(target=work, name=f"asking {name}", daemon=True).start()
        try:
            return answer.result(SECONDS)
        except TimeoutError:
            if answer.done():
                raise
            self._late.add(name)
            log.warning("%s has not answered within %g s", name, SECONDS)
            raise NoAnswerError(f"{name} has not answered within {SECONDS:g} s") from None


class _Limited:
    """A launcher whose processes end when their time is over."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    @contextmanager
    def start(
        self, connector: Connector, *, run: str = "", token: int = 0, hosts: Sequence[str] = ()
    ) -> Iterator[Channel]:
        """See `Launcher.start`."""
        with ExitStack() as stack:
            channel = stack.enter_context(self._launcher.start(connector, run=run, token=token, hosts=hosts))
            alarm = threading.Timer(SECONDS, stack.close)
            alarm.daemon = True
            stack.callback(alarm.cancel)
            alarm.start()
            yield channel
