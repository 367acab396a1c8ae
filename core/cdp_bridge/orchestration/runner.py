"""Carries out runs for the command line and for workers, with all that they need."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Sync, SyncLog
from cdp_bridge.model import Launcher
from cdp_bridge.store import Lease, Store
from cdp_bridge.sync.progress import Preview, Progress
from cdp_bridge.sync.reading import ReadTicket
from cdp_bridge.sync.run import open_run


class Watcher(Protocol):
    """Whoever watches a run and may end it: it ends with what either of these raises."""

    def progress(self, progress: Progress) -> None:
        """Take how far the run is."""

    def sleep(self, seconds: float) -> None:
        """Wait, since the platform asks for it."""


class Runner(Struct, frozen=True):
    """Runs syncs of a store, with connectors of a registry in processes that `launcher` starts; None: in this one."""

    store: Store
    registry: Registry
    launcher: Launcher | None = None

    def sync(
        self, sync: Sync, lease: Lease, ticket: ReadTicket, watcher: Watcher, *, approve_removals: bool
    ) -> SyncLog:
        """One run under the audience's lease, which the caller keeps; ConfigError when it cannot even begin."""
        with open_run(
            self.store,
            self.registry,
            sync,
            progress=watcher.progress,
            sleep=watcher.sleep,
            launcher=self.launcher,
            lease=lease,
            ticket=ticket,
        ) as run:
            return run.sync(approve_removals=approve_removals)

    def preview(self, sync: Sync) -> Preview:
        """What a run would do now."""
        with open_run(self.store, self.registry, sync, launcher=self.launcher) as run:
            return run.preview()
