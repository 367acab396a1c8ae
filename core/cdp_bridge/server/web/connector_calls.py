"""Calls connectors while a request waits for the answer: few at a time, each with a time limit."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from cdp_bridge.connectors.probing import Account, check, discovered
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.errors import BridgeError, TransientError
from cdp_bridge.model import Channel, Connector, Launcher, Probe
from cdp_bridge.secrets import Resolver

T = TypeVar("T")
log = logging.getLogger(__name__)

SECONDS = 60.0
"""The time limit of a call."""
MAX_CALLS = 4
"""How many calls there may be at once."""
ENDING = "this server ends"


class NoAnswerError(BridgeError):
    """A connector has not answered in time."""


class ConnectorCalls:
    """Calls connectors in processes that `launcher` starts, or in this process if it is None.

    A process that does not answer in time is ended. A connector that hangs in this process gets no further call until
    it has returned. `check` and `discover` raise NoAnswerError after `SECONDS`, and TransientError when `MAX_CALLS` are
    running.
    """

    def __init__(self, registry: Registry, resolver: Resolver, launcher: Launcher | None = None) -> None:
        self._registry, self._resolver = registry, resolver
        self._launcher = _Limited(launcher) if launcher else None
        self._lock = threading.Lock()
        self._running: dict[Future[Any], str] = {}
        self._late: dict[Future[Any], str] = {}
        self._end: Future[None] = Future()

    def close(self) -> None:
        """Abandon all calls and end their processes."""
        if not self._end.done():
            self._end.set_result(None)
        if self._launcher:
            self._launcher.close()

    def check(self, name: str, raw: dict[str, Any]) -> list[Probe]:
        """The probes of a connector under these settings; ConfigError if there is no such connector."""
        connector = self._registry.connector(name)
        return self._wait(name, lambda: check(self._registry, connector, raw, self._resolver, self._launcher))

    def discover(self, name: str, raw: dict[str, Any], query: Callable[[Account], T]) -> T:
        """The result of `query` on an account; errors as its connector raises them."""
        connector = self._registry.connector(name)

        def call() -> T:
            with discovered(self._registry, connector, raw, self._resolver, self._launcher) as account:
                return query(account)

        return self._wait(name, call)

    def _wait(self, name: str, call: Callable[[], T]) -> T:
        answer: Future[T] = Future()

        def work() -> None:
            try:
                result = call()
            except BaseException as error:
                self._forget(answer)
                answer.set_exception(error)
            else:
                self._forget(answer)
                answer.set_result(result)

        with self._lock:
            if self._end.done():
                raise NoAnswerError(ENDING)
            if name in self._late.values():
                raise NoAnswerError(f"{name} is still busy with an earlier call that it did not answer in time")
            if len(self._running) >= MAX_CALLS:
                raise TransientError("too many connectors are being called at once")
            self._running[answer] = name
        threading.Thread(target=work, name=f"call of {name}", daemon=True).start()
        either: list[Future[Any]] = [answer, self._end]
        wait(either, SECONDS, FIRST_COMPLETED)
        with self._lock:
            is_late = answer in self._running
            if is_late:
                self._late[answer] = name
        if not is_late:
            return answer.result()
        if self._end.done():
            raise NoAnswerError(ENDING)
        log.warning("%s has not answered within %g s", name, SECONDS)
        raise NoAnswerError(f"{name} has not answered within {SECONDS:g} s")

    def _forget(self, answer: Future[Any]) -> None:
        with self._lock:
            del self._running[answer]
            self._late.pop(answer, None)


class _Limited:
    """A launcher whose processes are ended at the time limit."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._stacks: set[ExitStack] = set()
        self._closed = False

    def close(self) -> None:
        """End all processes, and those that are just starting."""
        self._closed = True
        ends = [threading.Thread(target=stack.close, daemon=True) for stack in tuple(self._stacks)]
        for end in ends:
            end.start()
        for end in ends:
            end.join()

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
            self._stacks.add(stack)
            alarm.start()
            try:
                if self._closed:
                    raise NoAnswerError(ENDING)
                yield channel
            finally:
                self._stacks.discard(stack)
