"""The store as the rest of the bridge sees it: one object for everything that is on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any

from cdp_bridge.entities import Bridge, CDPSegment, EntryKind, SuppressionCount, SyncLog
from cdp_bridge.model import AudienceRef, Limits
from cdp_bridge.store import budgets, keys, leases, migration, retention
from cdp_bridge.store.access.api_keys import ApiKeys
from cdp_bridge.store.access.audit import Audit
from cdp_bridge.store.access.idempotency import Answers
from cdp_bridge.store.audiences import deliveries, refs, segments, suppression
from cdp_bridge.store.audiences.dead_letters import DeadLetters
from cdp_bridge.store.audiences.ledger import Ledger
from cdp_bridge.store.audiences.match_estimates import MatchEstimates
from cdp_bridge.store.audiences.overview import overview
from cdp_bridge.store.configuration import bridge as configuration
from cdp_bridge.store.configuration import entry_times
from cdp_bridge.store.configuration.bridge import Configured, Edit
from cdp_bridge.store.configuration.entry_times import EntryTimes
from cdp_bridge.store.database import Clock, Database
from cdp_bridge.store.leases import Lease
from cdp_bridge.store.runs import cursors, sync_logs
from cdp_bridge.store.runs.counts import Counts
from cdp_bridge.store.runs.history import History
from cdp_bridge.store.runs.notes import Notes
from cdp_bridge.store.runs.requests import Requests
from cdp_bridge.store.runs.schedules import Schedules
from cdp_bridge.store.secrets.secrets import Secrets
from cdp_bridge.store.transaction import Transaction
from cdp_bridge.store.values import AudienceRow, Delivery, Ensured
from cdp_bridge.structs import make_ready


class Store:
    """An open store; safe to share between threads, and between processes that open the same URL.

    Every write is on disk when the call (or the `with` block) returns. Failures of the database are ConfigError (a
    person must act) or TransientError (the same call may succeed later); what failed has changed nothing.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.ledger = Ledger(database)
        self.match_estimates = MatchEstimates(database)
        self.requests = Requests(database)
        self.schedules = Schedules(database)
        self.history = History(database)
        self.counts = Counts(database)
        self.dead_letters = DeadLetters(database)
        self.notes = Notes(database)
        self.api_keys = ApiKeys(database)
        self.audit = Audit(database)
        self.answers = Answers(database)
        self.secrets = Secrets(database)

    @classmethod
    def open(cls, url: str, *, clock: Clock = time.time) -> Store:
        """Open `sqlite:///path` or `postgresql://...`, creating and migrating the tables as needed.

        Raises ConfigError whose place is the URL without credentials. `clock` gives seconds since 1970; hosts that
        share a store must agree on them to a few seconds.
        """
        make_ready()
        database = Database(url, clock)
        try:
            migration.upgrade(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        """Give the connections back; an open iterator or transaction is not usable afterwards."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def integrity(self) -> list[str]:
        """Everything that a thorough (slow) check finds wrong, one sentence each; empty when all is well."""
        return migration.integrity(self._database)

    def prune(self, keep: retention.Retention) -> retention.Pruned:
        """Delete what is older than `keep` says; how many rows."""
        return retention.prune(self._database, keep)

    def wipe(self) -> None:
        """Overwrite what was deleted, in the files too; TransientError when somebody reads for too long."""
        retention.wipe(self._database)

    def key(self, name: str) -> bytes:
        """The 32 random bytes of that name, made on first use; every process gets the same."""
        return keys.key(self._database, name)

    def bridge(self) -> Bridge:
        """The configuration, in the order in which it was saved."""
        return configuration.load(self._database)

    def configured(self) -> Configured:
        """The configuration with the origin of its fields."""
        return configuration.configured(self._database)

    def entry_times(self, kind: EntryKind) -> dict[str, EntryTimes]:
        """When each entry of that kind was created and last changed, by name."""
        return entry_times.all_times(self._database, kind)

    def edit_bridge(self, change: Callable[[Configured], Edit]) -> None:
        """Replace the configuration by the result of `change`, in one transaction; see `configuration.changes`.

        Nobody else edits meanwhile; an exception of `change` undoes all. Ledger, runs and `connection_status` stay.
        Cursors and schedules of syncs that are gone are deleted, and so are the segments of connections and the
        suppression entries of lists (`source` = the name in `suppressions`) that are gone.
        """
        configuration.edit(self._database, change)

    def set_connection_status(self, name: str, status: str) -> None:
        """Record what a check found: `unchecked`, `connected` or `failed`."""
        configuration.set_connection_status(self._database, name, status)

    def deliveries(self, audience: str) -> list[Delivery]:
        """Batches whose outcome is not recorded, oldest first."""
        return deliveries.unfinished(self._database, audience)

    def audience_ref(self, audience: str) -> AudienceRef | None:
        """What the platform calls the audience, if it was ever ensured."""
        return refs.get(self._database, audience)

    def ensured(self, audience: str) -> Ensured:
        """How the audience was when it was last ensured, as `Transaction.save_audience` got it."""
        return refs.ensured(self._database, audience)

    def audience_refs(self, names: Sequence[str]) -> dict[str, AudienceRef]:
        """What the platforms call those of these audiences that they have."""
        return refs.by_name(self._database, names)

    def audiences(self) -> list[AudienceRow]:
        """Every audience that is configured or was ever synced, by name."""
        return overview(self._database)

    def runs(self, audience: str | None = None, limit: int = 50) -> list[SyncLog]:
        """Runs, newest first."""
        return sync_logs.newest(self._database, audience, limit)

    def last_runs(self, audiences: Sequence[str]) -> dict[str, SyncLog]:
        """The newest run of each of these configured audiences that has one."""
        return sync_logs.last(self._database, audiences)

    def run(self, run_id: str) -> SyncLog | None:
        """The run of that id, or None."""
        return sync_logs.get(self._database, run_id)

    def segments(self) -> list[CDPSegment]:
        """Segments as last seen, by connection and id."""
        return segments.everything(self._database)

    def record_segments(self, connection: str, listed: Sequence[CDPSegment], *, whole: bool) -> list[CDPSegment]:
        """Record how a connection lists its segments now; these segments as they are recorded then.

        What is known of their syncs stays, and so do counts that the list leaves out. If the list is `whole`, segments
        that are not in it are marked as gone.
        """
        return segments.record(self._database, connection, listed, whole=whole)

    def segment_listings(self) -> dict[str, datetime]:
        """When each connection last listed its segments, where that list was whole and is recent."""
        return segments.listings(self._database)

    def cursor(self, sync: str, stream: str, segment: str | None) -> dict[str, Any] | None:
        """The state of the last checkpoint whose records are all recorded, or None."""
        return cursors.get(self._database, sync, stream, segment)

    def suppress(self, entries: Iterable[tuple[str, bytes]], source: str) -> None:
        """Make `entries` (identifier, 32-byte digest) all there is of that source, at once."""
        suppression.replace(self._database, entries, source)

    def add_suppressions(self, entries: Iterable[tuple[str, bytes]], source: str) -> None:
        """Add `entries` to what there is of that source."""
        suppression.add(self._database, entries, source)

    def remove_suppressions(self, entries: Iterable[tuple[str, bytes]], source: str) -> int:
        """Take `entries` out of what there is of that source; how many were there."""
        return suppression.remove(self._database, entries, source)

    def count_suppressions(self) -> list[SuppressionCount]:
        """How many entries there are, by source."""
        return suppression.counts(self._database)

    def suppressed(self) -> Iterator[list[tuple[str, bytes]]]:
        """All (identifier, 32-byte digest), each once, in chunks."""
        return suppression.entries(self._database)

    def take(self, account: str, limits: Limits, count: int = 1) -> float:
        """Reserve requests of an account's shared budget: 0.0, or the seconds to wait first (nothing reserved).

        All processes together reserve at most `limits.requests` in any window of `limits.seconds`.
        """
        return budgets.take(self._database, account, limits, count)

    def pause(self, account: str, seconds: float) -> None:
        """Let nobody take from the account for that long; a longer pause under way stays."""
        budgets.pause(self._database, account, seconds)

    def lease(self, name: str, seconds: float = 60) -> AbstractContextManager[Lease]:
        """Hold the lease of that name for the length of a `with` block, given back at its end.

        Raises LeaseHeldError when somebody else holds it. The holder must `renew` before `seconds` are over.
        """
        return leases.hold(self._database, name, seconds)

    @contextmanager
    def transaction(self, lease: Lease | None = None) -> Iterator[Transaction]:
        """All or nothing: what happens in the `with` block is durable at its end, or undone by an exception.

        With a lease, LeaseLostError is raised before anything is written unless it is still the newest and unexpired.
        """
        with self._database.writing() as connection:
            if lease is not None:
                leases.fence(connection, lease, self._database.clock())
            yield Transaction(connection)
