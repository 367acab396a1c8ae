"""The state of one run while it goes on: what the runs of audiences and of conversion feeds have in common."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from cdp_bridge.connectors.errors import connector_errors, opened
from cdp_bridge.connectors.loading import validated
from cdp_bridge.delivery.sender import Sender
from cdp_bridge.delivery.transfer import Transfer
from cdp_bridge.entities import SyncLog
from cdp_bridge.errors import BridgeError
from cdp_bridge.failpoint import failpoint
from cdp_bridge.identity import load_profile
from cdp_bridge.model import AudienceRef, Batch, Operation
from cdp_bridge.redact import redact
from cdp_bridge.staging.packing import Row, batch_columns, conversions, sent_bytes
from cdp_bridge.staging.stage import Stage
from cdp_bridge.staging.suppression import refresh
from cdp_bridge.store import Lease, Store
from cdp_bridge.sync.diff import Diff, Difference
from cdp_bridge.sync.progress import OnProgress, Preview, Progress
from cdp_bridge.sync.setup import Setup

if TYPE_CHECKING:
    import duckdb

SAMPLE_MEMBERS = 2
_BYTES_A_DIGEST = 67


class Execution(ABC):
    """One run under its lease; `log` is its record. Without these two there is only `preview`."""

    def __init__(
        self,
        setup: Setup,
        store: Store,
        connection: duckdb.DuckDBPyConnection,
        progress: OnProgress,
        log: SyncLog | None = None,
        lease: Lease | None = None,
    ) -> None:
        self._setup, self._store, self._connection, self._progress = setup, store, connection, progress
        self._name = setup.sync.name
        self._lease = lease
        self._log = log or SyncLog(run_id="", audience=self._name, sync_timestamp=datetime.now(UTC))
        self._digest = self._suppress_and_digest()
        self._request = setup.request(self._checkpoint())
        self._stage = Stage(
            connection,
            setup.mapper,
            setup.profile,
            setup.fields,
            key=store.key("member"),
            suppressed=store.suppressed(),
            matching_keys=setup.target.columns,
        )
        # Settling changes their rows, and comes after the read: of a platform that is slow to answer, others who read
        # the same must not wait.
        self._unsettled = {key for delivery in store.deliveries(self._name) for key, *_ in delivery.members}
        self._stage.load_known(store.ledger.fingerprints(self._name, self._renewed_since()), without=self._unsettled)

    def run(self, approve_removals: bool, sleep: Callable[[float], None]) -> None:
        """The whole of it."""
        destination = self._setup.destination
        self._begin()
        state = self._extract()
        failpoint("staged")
        with opened(destination.code, destination.settings, destination.connector) as writer:
            sender = Sender(writer, self._setup.limits, self._store, sleep=sleep)
            transfer = Transfer(self._store, self._held(), sender, self._log, columns=self._stage.columns)
            transfer.settle(writer, self._store.audience_ref(self._name))
            self._carry_out(sender, transfer, approve_removals)
        self._conclude(transfer)
        self._finish(transfer, state)
        failpoint("finished")

    def preview(self) -> Preview:
        """Read and compare only."""
        self._extract()
        diff = Diff(self._connection, self._store, self._name)
        difference = self._compare(diff)
        return Preview(self._log.funnel, difference.adds, difference.changes, difference.removes, self._sample(diff))

    @abstractmethod
    def _compare(self, diff: Diff, in_flight: Collection[bytes] = ()) -> Difference:
        """What is to be sent."""

    @abstractmethod
    def _carry_out(self, sender: Sender, transfer: Transfer, approve_removals: bool) -> None:
        """Compare, and send the difference."""

    @abstractmethod
    def _accepted(self, transfer: Transfer) -> int:
        """How many of the extract the platform has taken, now or before."""

    @abstractmethod
    def _finish(self, transfer: Transfer, state: Mapping[str, Any] | None) -> None:
        """Record the end of the run, and from where the next one may go on."""

    @abstractmethod
    def _parts(self, diff: Diff, rows: int) -> Iterator[tuple[Operation, Iterator[list[Row]]]]:
        """What is sent, operation by operation, in chunks of so many rows."""

    @property
    def _is_whole(self) -> bool:
        return self._request.checkpoint is None

    def _extract(self) -> Mapping[str, Any] | None:
        state = self._setup.ticket.read(self._request, self._stage, self._progress)
        self._log.funnel = self._stage.finish()
        return state

    def _conclude(self, transfer: Transfer) -> None:
        log, funnel = self._log, self._log.funnel
        log.errors += log.rejected + transfer.deferred
        funnel.sent = funnel.identifiable - transfer.deferred
        funnel.accepted = self._accepted(transfer)
        log.status = "partial" if log.rejected or log.unknown or transfer.deferred else "succeeded"

    def _batch_rows(self, diff: Diff) -> int:
        limits = self._setup.limits
        size = sent_bytes(diff.packed_bytes()) or _BYTES_A_DIGEST * len(self._stage.columns)
        return max(1, min(limits.rows, int(limits.bytes / size)))

    def _sample(self, diff: Diff) -> Mapping[str, Any] | None:
        ref = self._store.audience_ref(self._name) or AudienceRef(id="(new)", account="")
        for operation, chunks in self._parts(diff, SAMPLE_MEMBERS):
            for rows in chunks:
                packed = [row[3] for row in rows]
                batch = Batch(
                    audience=ref,
                    operation=operation,
                    keys=[row[0] for row in rows],
                    identifiers=batch_columns(packed, self._stage.columns),
                    events=conversions(packed) if operation == "track" else (),
                    total=len(rows),
                )
                return self._render(batch)
        return None

    def _render(self, batch: Batch) -> Mapping[str, Any]:
        destination = self._setup.destination
        if not hasattr(destination.code, "preview"):
            return {"operation": batch.operation, "identifiers": batch.identifiers}
        with connector_errors(destination.connector):
            return validated(dict[str, Any], dict(destination.code.preview(destination.settings, batch)))

    def _suppress_and_digest(self) -> str:
        """Bring the suppression lists up to date; a digest of all that decides who is desired besides the CDP's
        records.
        """
        setup = self._setup
        refresh(self._store, setup.bridge.suppressions)
        # A sum, since the entries come in no order.
        suppressed = sum(int.from_bytes(digest) for chunk in self._store.suppressed() for _, digest in chunk)
        return digest_of(
            setup.bridge.mappings[setup.sync.mapping],
            setup.sync.consent,
            load_profile(setup.profile).version,
            (setup.connection.cdp_provider, setup.connection.api_credentials),
            str(suppressed),
        )

    def _basis(self, ref: AudienceRef | None) -> str:
        """What a cursor rests on: a delta of the CDP's records means nothing once any of it has changed."""
        return f"{self._digest}:{ref.id if ref else ''}"

    def _cursor(self) -> dict[str, Any] | None:
        """What an earlier run left, if it still means something."""
        cursor = self._store.cursor(self._name, self._setup.stream, self._setup.segment)
        basis = self._basis(self._store.audience_ref(self._name))
        return cursor if cursor and cursor["basis"] == basis else None

    def _checkpoint(self) -> dict[str, Any] | None:
        """Where an incremental run goes on from."""
        cursor = self._cursor() if self._setup.sync.incremental else None
        return cursor["state"] if cursor else None

    def _renewed_since(self) -> datetime | None:
        """Whom the platform was sent before that, it is sent again, long before it forgets them; None: it does not."""
        expires = self._setup.target.expires
        return datetime.now(UTC) - timedelta(seconds=expires / 2) if expires else None

    def _held(self) -> Lease:
        assert self._lease is not None, "only a preview has no lease"
        return self._lease

    def _begin(self) -> None:
        """Record this run, and the end of earlier ones that were killed: under the lease nobody else is running."""
        killed = [one for one in self._store.runs(self._name) if one.status == "running"]
        goes_on = self._cursor() is not None
        with self._store.transaction(self._lease) as transaction:
            for one in killed:
                fail(one, BridgeError("the run was killed; the next one went on where it ended"))
                transaction.save_run(one)
            transaction.save_run(self._log)
            if not goes_on:
                # What this run sends is about other settings: a cursor from before must not hold again later.
                transaction.delete_cursors(self._name)

    def _sending(self, phase: str, total: int) -> Callable[[int], None]:
        return lambda done: self._progress(Progress(phase, done, total))


def fail(run: SyncLog, error: BridgeError) -> None:
    """Let a record say that its run has failed, and why."""
    run.status, run.error = "failed", redact(str(error))
    run.errors += 1


def digest_of(*what: object) -> str:
    """A digest that changes with any of these."""
    return hashlib.sha256(msgspec.json.encode(what, order="deterministic")).hexdigest()
