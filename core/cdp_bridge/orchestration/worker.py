"""A worker: takes run orders off the flow and carries them out, a few at a time, until it is asked to stop."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Literal, NamedTuple

from cdp_bridge.entities import RunRequest, SyncLog
from cdp_bridge.errors import BridgeError, ConfigError, RejectedError, TransientError
from cdp_bridge.flow import RUNS, Flow, FlowMessage, RunOrder
from cdp_bridge.orchestration.run_log import RunLogHandler
from cdp_bridge.orchestration.runner import Runner
from cdp_bridge.redact import redact
from cdp_bridge.retry import retrying
from cdp_bridge.schedule import finish
from cdp_bridge.store import Lease, LeaseHeldError, Store
from cdp_bridge.store.runs.requests import End
from cdp_bridge.sync.progress import Progress
from cdp_bridge.sync.reading import ReadTicket
from cdp_bridge.sync.run_group import MAX_RUNS, read_alike, run_group
from cdp_bridge.sync.session import held

log = logging.getLogger(__name__)

FINISH_SECONDS = 10.0
"""How long a run may go on after the worker was asked to stop; then it is handed to another worker."""
HAND_OVER_SECONDS = 8.0
"""How long a run has to notice that; container engines kill after a grace of their own."""
LOOK_SECONDS = 5.0
"""How often a run looks whether it is cancelled."""
MAX_WAIT = 10.0
"""How many seconds an order at most waits for a run of the same audience before it looks again."""
MAX_TAKEOVERS = 3
"""How many workers a run may take over from dead ones; a run that kills its worker would kill all of them."""
_OVER = ("succeeded", "failed", "partial", "waiting", "cancelled")


class StopRunError(BridgeError):
    """The run was cancelled, or its worker has to stop; what was sent is recorded, and the next run goes on."""


class Cancellation:
    """Ends a run that was cancelled, or whose worker has to stop: `check` raises then, and `reason` says why.

    The run calls it, or `sleep`, every few seconds.
    """

    def __init__(self, store: Store, request: RunRequest, shutdown: threading.Event) -> None:
        self.reason: Literal["cancelled", "handed over"] | None = None
        self._store, self._request, self._shutdown = store, request, shutdown
        self._next_look = 0.0

    def check(self) -> None:
        """Raise StopRunError if the run should end."""
        if self._shutdown.is_set():
            self.reason = "handed over"
            raise StopRunError("the worker was asked to stop, and has handed the run over to another one")
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_SECONDS
            if self._is_cancelled():
                self.reason = "cancelled"
                raise StopRunError("the run was cancelled")

    def sleep(self, seconds: float) -> None:
        """`check` all the while that a run waits for a platform."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            self._shutdown.wait(min(left, LOOK_SECONDS))

    def _is_cancelled(self) -> bool:
        # A store that is away must not end a run that can do without it for now.
        with contextlib.suppress(TransientError):
            request = self._store.requests.get(self._request.id)
            return request is not None and request.cancelling
        return False


RunSync = Callable[[RunRequest, Cancellation, Lease, ReadTicket], SyncLog]
"""Carries out a request under a lease that the caller keeps, with a ticket for a read that may be shared; the record of
how it ended. ConfigError when it cannot even begin.
"""


class _Watcher:
    """Heeds a cancellation, and saves progress in the run's log."""

    def __init__(self, cancellation: Cancellation, run_log: RunLogHandler) -> None:
        self._cancellation, self._run_log = cancellation, run_log
        self.sleep = cancellation.sleep

    def progress(self, progress: Progress) -> None:
        """See `Watcher.progress`."""
        self._run_log.progress(progress)
        self._cancellation.check()


def sync_on_request(runner: Runner) -> RunSync:
    """Runs syncs of the store's configuration, and saves what they log for those who watch them."""

    def run(request: RunRequest, cancellation: Cancellation, lease: Lease, ticket: ReadTicket) -> SyncLog:
        configured = {sync.name: sync for sync in runner.store.bridge().syncs}
        if request.audience not in configured:
            raise ConfigError("is not configured any more", place=f"audiences.{request.audience}")
        with RunLogHandler(runner.store, request.id) as run_log:
            return runner.sync(
                configured[request.audience],
                lease,
                ticket,
                _Watcher(cancellation, run_log),
                approve_removals=request.approve_removals,
            )

    return run


def stop_on_signals() -> threading.Event:
    """Set once somebody asks this process to end; call it from the main thread."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def work(flow: Flow, store: Store, run_sync: RunSync, *, slots: int, stop: threading.Event) -> None:
    """Carry out run orders, `slots` at a time, until `stop` is set and the runs have ended or were handed over.

    A run that does not heed its cancellation may go on in a thread when this returns: the process should end then.
    """
    shutdown, ended = threading.Event(), threading.Event()

    def shut_down_later() -> None:
        stop.wait()
        if not ended.wait(FINISH_SECONDS):
            shutdown.set()

    threading.Thread(target=shut_down_later, daemon=True).start()
    worker = _Worker(store, run_sync, shutdown)
    try:
        flow.consume(RUNS, worker.handle, stop=stop, slots=slots, grace=FINISH_SECONDS + HAND_OVER_SECONDS)
    finally:
        ended.set()


class _Taken(NamedTuple):
    """A request that was started under a lease, which `release` gives back."""

    request: RunRequest
    lease: Lease
    release: ExitStack


class _Worker:
    """Carries out one order at a time in each thread; the store decides whether there is something to do at all."""

    def __init__(self, store: Store, run_sync: RunSync, shutdown: threading.Event) -> None:
        self._store, self._requests = store, store.requests
        self._run_sync, self._shutdown = run_sync, shutdown
        # Of runs that could read together, two that begin at the same time would each take some.
        self._taking = threading.Lock()

    def handle(self, delivery: FlowMessage[RunOrder]) -> None:
        """Returning means that the request is over, whoever has seen to it."""
        request = self._requests.get(delivery.message.request)
        if request is None:
            raise RejectedError("the store has no such run request", reason="unknown_request")
        if request.state in _OVER:
            return
        with ExitStack() as stack:
            jobs = []
            with self._taking:
                for taken in islice(self._take_with_siblings(request), MAX_RUNS):
                    stack.push(taken.release)
                    jobs.append(partial(self._carry_out, taken))
            if jobs:
                run_group(jobs, self._shutdown)
            elif (wait := _wait(request)) > 0:
                raise TransientError("it is too early", retry_after=wait)

    def _take_with_siblings(self, request: RunRequest) -> Iterator[_Taken]:
        """A request, and then those that wait to read the same people; nothing when there is nothing to do.

        Each of them has an order of its own, which finds it running or over, or takes it over.
        """
        try:
            mine = self._take(request)
        except LeaseHeldError as error:
            seconds = (error.until - datetime.now(UTC)).total_seconds()
            raise TransientError(str(error), retry_after=min(max(seconds, 0.1), MAX_WAIT)) from None
        if mine is None:
            return
        yield mine
        siblings = self._siblings(request.audience)
        for other in self._requests.ready() if siblings else ():
            # Of an audience that is run already, also by a request of this list, the lease is taken.
            with contextlib.suppress(LeaseHeldError):
                if other.audience in siblings and (taken := self._take(other)):
                    yield taken

    def _siblings(self, name: str) -> set[str]:
        """What else the same is read for."""
        syncs = self._store.bridge().syncs
        mine = next((sync for sync in syncs if sync.name == name), None)
        return {sync.name for sync in syncs if mine and sync.name != name and read_alike(sync, mine)}

    def _take(self, request: RunRequest) -> _Taken | None:
        """Hold and start a request; None when there is nothing to do, LeaseHeldError when somebody has the audience."""
        with ExitStack() as stack:
            lease = stack.enter_context(held(self._store, request.audience))
            started = self._requests.start(request.id, lease)
            return _Taken(started, lease, stack.pop_all()) if started else None

    def _carry_out(self, taken: _Taken, ticket: ReadTicket) -> None:
        with taken.release:
            self._run_to_end(taken.request, taken.lease, ticket)

    def _run_to_end(self, request: RunRequest, lease: Lease, ticket: ReadTicket) -> None:
        if request.takeovers > MAX_TAKEOVERS:
            why = f"given up, since its worker died or was cut off {request.takeovers} times. See the workers' logs"
            record = retrying()(self._failed, request, lease, why)
            # Not tried again either: what has ended these workers would end the next.
            retrying()(self._requests.finish, request.id, lease, "failed", record)
            return
        cancellation = Cancellation(self._store, request, self._shutdown)
        state, run_id = self._run(request, cancellation, lease, ticket)
        if cancellation.reason == "handed over" and state == "failed":
            with contextlib.suppress(BridgeError):
                self._requests.hand_back(request.id, lease)
            raise TransientError("handed over to another worker", retry_after=0)
        if cancellation.reason == "cancelled" and state == "failed":
            state = "cancelled"
        # Nobody else can end it while the lease is kept, so the store's absence is waited out.
        retrying()(finish, self._store, request, lease, state, run_id, now=datetime.now(UTC))
        log.info("run request %s of %s has ended: %s", request.id, request.audience, state)

    def _run(
        self, request: RunRequest, cancellation: Cancellation, lease: Lease, ticket: ReadTicket
    ) -> tuple[End, str | None]:
        try:
            done = self._run_sync(request, cancellation, lease, ticket)
        except Exception as error:
            why = str(error) if isinstance(error, BridgeError) else type(error).__name__
            return "failed", retrying()(self._failed, request, lease, f"it could not begin: {why}")
        assert done.status != "running", "a run that has returned is over"
        return done.status, done.run_id

    def _failed(self, request: RunRequest, lease: Lease, why: str) -> str:
        """The id of the record that says why a request failed: what a dead worker had begun, or a new one."""
        begun = [run for run in self._store.runs(request.audience) if run.status == "running" and request.takeovers]
        new = SyncLog(run_id=uuid.uuid4().hex, audience=request.audience, sync_timestamp=datetime.now(UTC))
        record = begun[0] if begun else new
        record.status, record.error, record.errors = "failed", redact(why), record.errors + 1
        with self._store.transaction(lease) as transaction:
            transaction.save_run(record)
        log.error("the run of %s has failed: %s", request.audience, why)
        return record.run_id


def _wait(request: RunRequest) -> float:
    """Seconds until a queued request may start."""
    if request.state != "queued" or request.not_before is None:
        return 0.0
    return (request.not_before - datetime.now(UTC)).total_seconds()
