"""The parts that one run works with, and the record that it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from msgspec import Struct

from cdp_bridge.delivery.transfer import DeliveryCounts
from cdp_bridge.entities import SyncLog
from cdp_bridge.redact import redact
from cdp_bridge.store import Lease, Store, Transaction
from cdp_bridge.sync.progress import OnProgress, Progress
from cdp_bridge.sync.setup import Setup


class RunContext(Struct, frozen=True, kw_only=True):
    """One run of a sync: `log` is its record, `counts` what it has delivered, `lease` its right to deliver.

    A preview has no lease, since it records and sends nothing. `sleep` waits where the platform asks for it.
    """

    setup: Setup
    store: Store
    log: SyncLog
    counts: DeliveryCounts
    lease: Lease | None
    progress: OnProgress
    sleep: Callable[[float], None]

    @property
    def name(self) -> str:
        """The name of the activation or conversion feed."""
        return self.setup.sync.name

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction under the lease, which saves the record of the run last."""
        assert self.lease is not None, "a preview records nothing"
        with self.store.transaction(self.lease) as transaction:
            yield transaction
            self.count_deliveries()
            transaction.save_run(self.log)

    def count_deliveries(self) -> None:
        """Take what was delivered so far into the record."""
        log, counts = self.log, self.counts
        log.membership_calls, log.records_processed = counts.calls, counts.processed
        log.rejected, log.unknown = counts.rejected, counts.unknown
        log.funnel.platform_reasons = dict(counts.reasons)

    def note(self, words: str) -> None:
        """Let the record say what a person should know, although the run goes on; empty `words` say nothing."""
        self.log.error = ". ".join(filter(None, [self.log.error, words]))

    def delivering(self, phase: str, total: int) -> Callable[[int], None]:
        """Reports the progress of a phase: call it with the number of members that are done."""
        return lambda done: self.progress(Progress(phase, done, total))


def fail(run: SyncLog, error: Exception) -> None:
    """Let a record say that its run has failed, and why."""
    run.status, run.error = "failed", redact(str(error))
    run.errors += 1
