"""One run of an activation or a conversion feed, from the source's first page to its SyncLog."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from cdp_bridge.connectors.credentials import resolver
from cdp_bridge.connectors.handle import open_connector
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import ConversionFeed, Sync, SyncLog
from cdp_bridge.errors import BridgeError
from cdp_bridge.model import Launcher, LifecycleEvent
from cdp_bridge.store import Lease, Store
from cdp_bridge.sync.audience import AudienceExecution, LostAudienceError
from cdp_bridge.sync.conversions import ConversionExecution
from cdp_bridge.sync.execution import Execution, fail
from cdp_bridge.sync.progress import OnProgress, Preview
from cdp_bridge.sync.reading import ReadTicket, SharedRead
from cdp_bridge.sync.session import connected, held, plain_failures, rare_collections
from cdp_bridge.sync.setup import prepare

if TYPE_CHECKING:
    import duckdb


class Run:
    """Runs an activation or a conversion feed of the store's configuration; ConfigError if what it names is no use.

    `sleep` is what waits where the platform asks for it. The connectors work where `launcher` starts them, or here.
    `lease` is the audience's, if the caller has it already and keeps it; `seat` a place at a read that is shared with
    other runs (see `together`).
    """

    def __init__(  # noqa: PLR0913 - a parameter for each part that a caller may lend
        self,
        store: Store,
        registry: Registry,
        sync: Sync,
        *,
        progress: OnProgress = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
        launcher: Launcher | None = None,
        lease: Lease | None = None,
        ticket: ReadTicket | None = None,
    ) -> None:
        self._store, self._registry, self._progress, self._sleep = store, registry, progress, sleep
        self._id, self._lease = uuid.uuid4().hex, lease
        connect = partial(
            open_connector,
            registry,
            resolver(store, registry),
            launcher=launcher,
            run=self._id,
            token=lease.token if lease else 0,
        )
        self._setup = prepare(store.bridge(), registry, sync, connect, ticket or SharedRead().tickets[0])

    def sync(self, *, approve_removals: bool = False) -> SyncLog:
        """Carry it out; a failure is in the log's `status` and `error`, not an exception."""
        name = self._setup.sync.name
        log = SyncLog(run_id=self._id, audience=name, sync_timestamp=datetime.now(UTC))
        started = time.monotonic()
        self._notify("run.started", log)
        try:
            with (
                plain_failures(),
                rare_collections,
                nullcontext(self._lease) if self._lease else held(self._store, name) as lease,
            ):
                try:
                    self._execute(log, lease, approve_removals)
                except LostAudienceError:
                    self._execute(log, lease, approve_removals)
        except BridgeError as error:
            fail(log, error)
        finally:
            self._setup.close()
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
        with plain_failures(), closing(self._setup), connected() as connection:
            return self._execution(connection).preview()

    def _execute(self, log: SyncLog, lease: Lease, approve_removals: bool) -> None:
        with connected() as connection:
            self._execution(connection, log, lease).run(approve_removals, self._sleep)

    def _execution(
        self, connection: duckdb.DuckDBPyConnection, log: SyncLog | None = None, lease: Lease | None = None
    ) -> Execution:
        kind = ConversionExecution if isinstance(self._setup.sync, ConversionFeed) else AudienceExecution
        return kind(self._setup, self._store, connection, self._progress, log, lease)

    def _notify(self, event: str, log: SyncLog) -> None:
        details = {"status": log.status, "records_processed": log.records_processed, "latency": log.latency}
        self._registry.notify(LifecycleEvent(name=event, subject=log.audience, details=details))
