"""One run of an activation or a conversion feed, from the source's first page to its SyncLog."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import TypedDict, Unpack

from cdp_bridge.connectors.credentials import resolver
from cdp_bridge.connectors.handle import RunIdentity, open_connector
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.delivery.transfer import DeliveryCounts
from cdp_bridge.entities import ConversionFeed, Sync, SyncLog
from cdp_bridge.errors import BridgeError
from cdp_bridge.model import Launcher, LifecycleEvent
from cdp_bridge.store import Lease, Store
from cdp_bridge.sync.audience import preview_audience, sync_audience
from cdp_bridge.sync.context import RunContext, fail
from cdp_bridge.sync.conversions import preview_conversions, sync_conversions
from cdp_bridge.sync.progress import OnProgress, Preview
from cdp_bridge.sync.reading import ReadTicket, SharedRead
from cdp_bridge.sync.session import held, plain_failures, rare_collections
from cdp_bridge.sync.setup import Setup, prepare


class RunOptions(TypedDict, total=False):
    """What a caller may lend to a run.

    `progress` gets how far it is, `sleep` waits where the platform asks for it; what either raises ends the run. The
    connectors work where `launcher` starts them, or here. `lease` is the audience's, if the caller has it already and
    keeps it; `ticket` a place at a read that is shared with other runs (see `run_group`).
    """

    progress: OnProgress
    sleep: Callable[[float], None]
    launcher: Launcher | None
    lease: Lease | None
    ticket: ReadTicket


@contextmanager
def open_run(store: Store, registry: Registry, sync: Sync, **options: Unpack[RunOptions]) -> Iterator[OpenRun]:
    """A run of an activation or conversion feed that the store has configured; its connectors end with the block.

    Raises ConfigError if a part that it names is missing or cannot work.
    """
    run_id, lease = uuid.uuid4().hex, options.get("lease")
    connect = partial(
        open_connector,
        registry,
        resolver(store, registry),
        launcher=options.get("launcher"),
        run=RunIdentity(run_id, lease.token if lease else 0),
    )
    ticket = options.get("ticket") or SharedRead().tickets[0]
    with closing(prepare(store.bridge(), registry, sync, connect, ticket)) as setup:
        yield OpenRun(run_id, setup, store, registry, options)


class OpenRun:
    """A run whose connectors are ready: `sync` carries it out, `preview` says what that would do."""

    def __init__(self, run_id: str, setup: Setup, store: Store, registry: Registry, options: RunOptions) -> None:
        self._id, self._setup, self._store, self._registry = run_id, setup, store, registry
        self._options = options

    def sync(self, *, approve_removals: bool = False) -> SyncLog:
        """Carry it out; a failure is in the log's `status` and `error`, not an exception."""
        log, started = self._new_log(), time.monotonic()
        self._notify("run.started", log)
        try:
            with plain_failures(), rare_collections, self._held() as lease:
                run = self._context(log, lease)
                if isinstance(self._setup.sync, ConversionFeed):
                    sync_conversions(run)
                else:
                    sync_audience(run, approve_removals=approve_removals)
        except BridgeError as error:
            fail(log, error)
        log.latency = time.monotonic() - started
        try:
            with self._store.transaction() as transaction:
                transaction.save_run(log)
        except BridgeError as error:
            fail(log, error)
        self._notify("run.finished", log)
        return log

    def preview(self) -> Preview:
        """What `sync` would do now; reads the source and the ledger, sends and changes nothing at the platform."""
        with plain_failures():
            run = self._context(self._new_log(), None)
            is_feed = isinstance(self._setup.sync, ConversionFeed)
            return preview_conversions(run) if is_feed else preview_audience(run)

    def _new_log(self) -> SyncLog:
        return SyncLog(run_id=self._id, audience=self._setup.sync.name, sync_timestamp=datetime.now(UTC))

    @contextmanager
    def _held(self) -> Iterator[Lease]:
        lease = self._options.get("lease")
        with nullcontext(lease) if lease else held(self._store, self._setup.sync.name) as lease:
            yield lease

    def _context(self, log: SyncLog, lease: Lease | None) -> RunContext:
        return RunContext(
            setup=self._setup,
            store=self._store,
            log=log,
            counts=DeliveryCounts(),
            lease=lease,
            progress=self._options.get("progress", lambda _: None),
            sleep=self._options.get("sleep", time.sleep),
        )

    def _notify(self, event: str, log: SyncLog) -> None:
        details = {"status": log.status, "records_processed": log.records_processed, "latency": log.latency}
        self._registry.notify(LifecycleEvent(name=event, subject=log.audience, details=details))
