"""One run of one activation, from the source's first page to its SyncLog."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..entities import Activation, CDPSegment, Funnel, SyncLog
from ..errors import BridgeError
from ..failpoint import failpoint
from ..identity import load_profile
from ..loading import sound
from ..model import Audience, AudienceRef, Batch, Launcher, LifecycleEvent, Operation
from ..oauth import Grants
from ..redact import redact
from ..registry import Registry
from ..store import Lease, Store
from .blame import blame, opened
from .deliver import Sender
from .diff import Diff, Difference
from .extract import extract
from .members import batch_columns, sent_bytes
from .session import connected, held, plain_failures, rare_collections
from .setup import Setup, prepare
from .stage import Stage
from .suppression import refresh
from .transfer import Transfer

if TYPE_CHECKING:
    import duckdb

SAMPLE_MEMBERS = 2
_BYTES_A_DIGEST = 67
# The "stream" under which the cursor table keeps what destination the audience was made at.
_TARGET = "(destination)"


class Progress(Struct, frozen=True):
    """How far a phase (`read`, `remove`, `add`) of a run is, in members; `total` None where it is not known."""

    phase: str
    done: int
    total: int | None = None


class Preview(Struct, frozen=True):
    """What a run would do; `sample` is its first request with identifiers as they would leave."""

    funnel: Funnel
    adds: int
    changes: int
    removes: int
    sample: Mapping[str, Any] | None


OnProgress = Callable[[Progress], None]


class Run:
    """Keeps one activation of the store's configuration equal; ConfigError if what it names is missing or no use.

    `sleep` is what waits where the platform asks for it. The connectors work where `launcher` starts them, or here.
    `lease` is the audience's, if the caller has it already and keeps it.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        activation: Activation,
        *,
        progress: OnProgress = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
        launcher: Launcher | None = None,
        lease: Lease | None = None,
    ) -> None:
        self._store, self._registry, self._progress, self._sleep = store, registry, progress, sleep
        self._id, self._lease = uuid.uuid4().hex, lease
        resolve = Grants(store, registry.secret).resolve
        token = lease.token if lease else 0
        self._setup = prepare(store.bridge(), registry, activation, resolve, launcher, self._id, token)

    def sync(self, *, approve_removals: bool = False) -> SyncLog:
        """Make the audience equal to the segment; a failure is in the log's `status` and `error`, not an exception."""
        name = self._setup.activation.name
        log = SyncLog(run_id=self._id, audience=name, sync_timestamp=datetime.now(UTC))
        started = time.monotonic()
        self._notify("run.started", log)
        try:
            with (
                plain_failures(),
                rare_collections(),
                nullcontext(self._lease) if self._lease else held(self._store, name) as lease,
            ):
                try:
                    self._execute(log, lease, approve_removals)
                except _LostAudienceError:
                    self._execute(log, lease, approve_removals)
        except BridgeError as error:
            _fail(log, error)
        finally:
            self._setup.close()
        log.latency = time.monotonic() - started
        try:
            with self._store.transaction() as transaction:
                transaction.save_run(log)
        except BridgeError as error:
            _fail(log, error)
        self._notify("run.finished", log)
        return log

    def preview(self) -> Preview:
        """What `sync` would do now; reads the source and the ledger, sends and changes nothing at the platform."""
        with plain_failures(), closing(self._setup), connected() as connection:
            return _Execution(self._setup, self._store, connection, self._progress).preview()

    def _execute(self, log: SyncLog, lease: Lease, approve_removals: bool) -> None:
        with connected() as connection:
            execution = _Execution(self._setup, self._store, connection, self._progress, log, lease)
            execution.run(approve_removals, self._sleep)

    def _notify(self, event: str, log: SyncLog) -> None:
        details = {"status": log.status, "records_processed": log.records_processed, "latency": log.latency}
        self._registry.notify(LifecycleEvent(name=event, subject=log.audience, details=details))


class _Execution:
    """The state of one run while it goes on."""

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
        self._name = setup.activation.name
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
            suppressed=store.suppressed(setup.profile),
            matching_keys=setup.matching_keys,
        )
        # Settling changes their rows, and comes after the read: of a platform that is slow to answer, others who read
        # the same must not wait.
        self._unsettled = {key for delivery in store.deliveries(self._name) for key, *_ in delivery.members}
        self._stage.know(store.ledger.fingerprints(self._name), without=self._unsettled)

    def run(self, approve_removals: bool, sleep: Callable[[float], None]) -> None:
        """The whole of it, under the lease."""
        destination, log = self._setup.destination, self._log
        self._begin()
        state = self._extract()
        failpoint("staged")
        with opened(destination.code, destination.settings, destination.connector) as writer:
            sender = Sender(writer, destination.connector.limits, self._store, sleep=sleep)
            transfer = Transfer(self._store, self._held(), sender, log, columns=self._stage.columns)
            transfer.settle(writer, self._store.audience_ref(self._name))
            diff, difference, ref = self._compare(sender, transfer.in_flight)
            transfer.deferred += difference.waiting
            held = 0 if approve_removals else self._guard(diff, difference)
            failpoint("diffed")
            log.adds, log.changes, log.removes = difference.adds, difference.changes, difference.removes - held
            self._deliver(diff, difference, held, transfer, ref)
        self._conclude(transfer, ref, held)
        is_settled = not (held or transfer.deferred or transfer.not_removed or self._is_empty)
        self._finish(ref, state if is_settled else None)

    def preview(self) -> Preview:
        """Read and compare only."""
        self._extract()
        diff = Diff(self._connection, self._store, self._name)
        difference = diff.compare(whole=self._is_whole, unsettled=self._unsettled)
        return Preview(self._log.funnel, difference.adds, difference.changes, difference.removes, self._sample(diff))

    @property
    def _is_whole(self) -> bool:
        return self._request.checkpoint is None

    @property
    def _is_empty(self) -> bool:
        """Nobody is in the segment, which is more often a fault on the way than the truth."""
        return self._is_whole and self._log.funnel.in_segment == 0

    def _extract(self) -> Mapping[str, Any] | None:
        source = self._setup.source
        state = extract(
            source.code,
            source.connector,
            source.settings,
            self._request,
            into=self._stage,
            progress=lambda done: self._progress(Progress("read", done)),
        )
        self._log.funnel = self._stage.finish()
        return state

    def _compare(self, sender: Sender, in_flight: set[bytes]) -> tuple[Diff, Difference, AudienceRef]:
        """The difference and the audience, which is asked for only if there is something to send."""
        diff = Diff(self._connection, self._store, self._name)
        difference = diff.compare(whole=self._is_whole, unsettled=self._unsettled, in_flight=in_flight)
        before = self._store.audience_ref(self._name)
        target = {"digest": self._target()}
        if before and not difference.some and self._store.cursor(self._name, _TARGET, None) == target:
            return diff, difference, before
        ref = sender.ensure(self._audience(before))
        is_lost = before is not None and before.id != ref.id
        if is_lost:
            self._forget_ledger()
        with self._store.transaction(self._lease) as transaction:
            transaction.save_audience(self._name, ref)
            transaction.save_cursor(self._name, _TARGET, None, target)
        if is_lost:
            raise _LostAudienceError("the platform has lost the audience twice while it was being filled")
        return diff, difference, ref

    def _guard(self, diff: Diff, difference: Difference) -> int:
        """Hold back removals that look like a broken extract, never those of suppressed people; returns how many."""
        held = difference.removes - difference.suppressed
        if not held or not (self._is_empty or difference.removal_share > self._setup.activation.removal_limit):
            return 0
        held = diff.hold_removes()
        if not held:
            return 0
        why = "the extract is empty" if self._is_empty else f"they are {difference.removal_share:.0%} of the audience"
        self._log.error = (
            f"{held} removals wait for approval, since {why}. Check the segment, then sync with --approve-removals"
        )
        return held

    def _deliver(self, diff: Diff, difference: Difference, held: int, transfer: Transfer, ref: AudienceRef) -> None:
        """Removes first: what they tear away from members who stay is then added again."""
        shared = diff.share_identifiers()
        if shared:
            with self._store.transaction(self._lease) as transaction:
                transaction.blank_members(self._name, shared)
        rows = self._batch_rows(diff)
        leaving, arriving = difference.leaving - held, difference.arriving + len(shared)
        transfer.carry(ref, "remove", diff.leaving(rows), leaving, self._sending("remove", leaving))
        transfer.carry(ref, "add", diff.arriving(rows, transfer.not_removed), arriving, self._sending("add", arriving))

    def _conclude(self, transfer: Transfer, ref: AudienceRef, held: int) -> None:
        log, funnel = self._log, self._log.funnel
        log.errors += log.rejected + transfer.deferred
        funnel.sent = funnel.identifiable - transfer.deferred
        funnel.accepted = self._store.ledger.count(self._name, outcome="accepted")
        funnel.matched_lower, funnel.matched_upper = ref.lower_bound, ref.upper_bound
        if self._is_whole and funnel.not_suppressed:
            log.match_rate = min(funnel.accepted / funnel.not_suppressed, 1.0)
        if held:
            log.status = "waiting"
        elif log.rejected or log.unknown or transfer.deferred:
            log.status = "partial"
        else:
            log.status = "succeeded"

    def _finish(self, ref: AudienceRef, state: Mapping[str, Any] | None) -> None:
        activation, log = self._setup.activation, self._log
        known = self._known_segment()
        with self._store.transaction(self._lease) as transaction:
            if state is not None:
                cursor = {"basis": self._basis(ref), "state": dict(state)}
                transaction.save_cursor(self._name, self._setup.stream, activation.segment, cursor)
            transaction.save_segment(
                replace(
                    known,
                    member_count=log.funnel.in_segment if self._is_whole else known.member_count,
                    last_sync=log.sync_timestamp,
                    sync_status="synced",
                    gone_since=None,
                )
            )
            transaction.save_run(log)
        failpoint("finished")

    def _audience(self, ref: AudienceRef | None) -> Audience:
        activation = self._setup.activation
        return Audience(marker=self._marker(), name=activation.audience_name or activation.segment, ref=ref)

    def _marker(self) -> str:
        """Unique to this bridge and activation, so that nobody else's audience is ever taken for ours."""
        return hashlib.sha256(self._store.key("marker") + self._name.encode()).hexdigest()[:20]

    def _forget_ledger(self) -> None:
        for chunk in self._store.ledger.fingerprints(self._name):
            with self._store.transaction(self._lease) as transaction:
                transaction.drop_members(self._name, [key for key, _ in chunk])

    def _batch_rows(self, diff: Diff) -> int:
        limits = self._setup.destination.connector.limits
        size = sent_bytes(diff.packed_bytes()) or _BYTES_A_DIGEST * len(self._stage.columns)
        return max(1, min(limits.rows, int(limits.bytes / size)))

    def _sample(self, diff: Diff) -> Mapping[str, Any] | None:
        operations: tuple[tuple[Operation, Iterator[Any]], ...] = (
            ("add", diff.arriving(SAMPLE_MEMBERS, without=set())),
            ("remove", diff.leaving(SAMPLE_MEMBERS)),
        )
        ref = self._store.audience_ref(self._name) or AudienceRef(id="(new)", account="")
        for operation, chunks in operations:
            for rows in chunks:
                columns = batch_columns([packed for *_, packed in rows], self._stage.columns)
                batch = Batch(
                    audience=ref,
                    operation=operation,
                    keys=[row[0] for row in rows],
                    identifiers=columns,
                    total=len(rows),
                )
                return self._render(batch)
        return None

    def _render(self, batch: Batch) -> Mapping[str, Any]:
        destination = self._setup.destination
        if not hasattr(destination.code, "preview"):
            return {"operation": batch.operation, "identifiers": batch.identifiers}
        with blame(destination.connector):
            return sound(dict[str, Any], dict(destination.code.preview(destination.settings, batch)))

    def _suppress_and_digest(self) -> str:
        """Bring the suppression lists up to date; a digest of all that decides who is desired besides the CDP's
        records.
        """
        setup = self._setup
        refresh(self._store, setup.bridge.suppressions, setup.profile)
        # A sum, since the entries come in no order.
        suppressed = sum(
            int.from_bytes(digest) for chunk in self._store.suppressed(setup.profile) for _, digest in chunk
        )
        return _digest(
            setup.bridge.mappings[setup.activation.mapping],
            setup.activation.consent,
            load_profile(setup.profile).version,
            (setup.connection.cdp_provider, setup.connection.api_credentials),
            str(suppressed),
        )

    def _basis(self, ref: AudienceRef | None) -> str:
        """What a cursor rests on: a delta of the CDP's records means nothing once any of it has changed."""
        return f"{self._digest}:{ref.id if ref else ''}"

    def _target(self) -> str:
        return _digest(self._setup.account.connector, self._setup.account.settings)

    def _checkpoint(self) -> dict[str, Any] | None:
        """Where an incremental activation goes on from, unless anything but the CDP's records has changed since."""
        activation = self._setup.activation
        if not activation.incremental:
            return None
        cursor = self._store.cursor(self._name, self._setup.stream, activation.segment)
        basis = self._basis(self._store.audience_ref(self._name))
        return cursor["state"] if cursor and cursor["basis"] == basis else None

    def _known_segment(self) -> CDPSegment:
        connection, segment = self._setup.activation.connection, self._setup.activation.segment
        unknown = CDPSegment(connection=connection, segment_id=segment, segment_name=segment)
        found = (one for one in self._store.segments() if (one.connection, one.segment_id) == (connection, segment))
        return next(found, unknown)

    def _held(self) -> Lease:
        assert self._lease is not None, "only a preview has no lease"
        return self._lease

    def _begin(self) -> None:
        """Record this run, and the end of earlier ones that were killed: under the lease nobody else is running."""
        killed = [one for one in self._store.runs(self._name) if one.status == "running"]
        with self._store.transaction(self._lease) as transaction:
            for one in killed:
                _fail(one, BridgeError("the run was killed; the next one went on where it ended"))
                transaction.save_run(one)
            transaction.save_run(self._log)

    def _sending(self, phase: str, total: int) -> Callable[[int], None]:
        return lambda done: self._progress(Progress(phase, done, total))


class _LostAudienceError(BridgeError):
    """The platform has another audience than the ledger is about; the ledger has been emptied, so everything must be
    read.
    """


def _fail(run: SyncLog, error: BridgeError) -> None:
    run.status, run.error = "failed", redact(str(error))
    run.errors += 1


def _digest(*what: object) -> str:
    return hashlib.sha256(msgspec.json.encode(what, order="deterministic")).hexdigest()
