"""One run of one activation, from the source's first page to its SyncLog."""

from __future__ import annotations

import hashlib
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from .. import engine
from ..entities import Activation, CDPSegment, Funnel, SyncLog
from ..errors import BridgeError
from ..failpoint import failpoint
from ..identity import load_profile
from ..model import Audience, AudienceRef, Batch, LifecycleEvent, Operation, Writer
from ..registry import Registry
from ..store import Lease, LeaseLostError, Store
from .blame import BlamedWriter, blame
from .deliver import Sender
from .diff import Diff, Difference
from .extract import extract
from .members import batch_columns, unpack
from .setup import Setup, prepare
from .stage import Stage
from .suppression import refresh
from .transfer import Transfer

if TYPE_CHECKING:
    import duckdb

LEASE_SECONDS = 60.0
SAMPLE_MEMBERS = 2
# A packed digest becomes twice as many hex digits, plus quotes, comma and what the platform's envelope adds.
_BYTES_A_COLUMN = 8


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
    """Keeps one activation of the store's configuration equal; ConfigError if what it names is missing or cannot work."""

    def __init__(
        self, store: Store, registry: Registry, activation: Activation, *, progress: OnProgress = lambda _: None
    ) -> None:
        self._store, self._registry, self._progress = store, registry, progress
        self._setup = prepare(store.bridge(), registry, activation)

    def sync(self, *, approve_removals: bool = False) -> SyncLog:
        """Make the audience equal to the segment; a failure is in the log's `status` and `error`, never an exception."""
        name = self._setup.activation.name
        log = SyncLog(run_id=uuid.uuid4().hex, audience=name, sync_timestamp=datetime.now(UTC))
        started = time.monotonic()
        self._notify("run.started", log)
        try:
            with (
                _plain_failures(),
                self._store.lease(f"audience:{name}", LEASE_SECONDS) as lease,
                _kept(lease),
                _connected() as connection,
            ):
                _Execution(self._setup, self._store, connection, self._progress, log, lease).run(approve_removals)
        except BridgeError as error:
            log.status, log.error = "failed", str(error)
            log.errors += 1
        log.latency = time.monotonic() - started
        with self._store.transaction() as transaction:
            transaction.save_run(log)
        self._notify("run.finished", log)
        return log

    def preview(self) -> Preview:
        """What `sync` would do now; reads the source and the ledger, sends and changes nothing at the platform."""
        with _plain_failures(), _connected() as connection:
            return _Execution(self._setup, self._store, connection, self._progress).preview()

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
        self._basis = self._suppress_and_digest()
        self._request = setup.request(self._checkpoint())
        self._stage = Stage(
            connection,
            setup.mapper,
            setup.profile,
            setup.fields,
            key=store.key("member"),
            suppressed=store.suppressed(setup.profile),
        )

    def run(self, approve_removals: bool) -> None:
        """The whole of it, under the lease."""
        setup, log = self._setup, self._log
        self._save()
        with self._open() as writer:
            sender = Sender(writer, setup.destination.connector.limits, self._store)
            transfer = Transfer(self._store, self._held(), sender, log, columns=self._stage.columns)
            transfer.settle(writer, self._store.audience_ref(self._name))
            state = self._extract()
            failpoint("staged")
            diff, difference, ref = self._compare(writer)
            held = 0 if approve_removals else self._guard(diff, difference)
            failpoint("diffed")
            log.adds, log.changes, log.removes = difference.adds, difference.changes, difference.removes - held
            self._deliver(diff, difference, held, transfer, ref)
        self._conclude(transfer, ref, held)
        self._finish(None if held or transfer.deferred else state)

    def preview(self) -> Preview:
        """Read and compare only."""
        self._extract()
        diff = Diff(self._connection, self._store, self._name)
        difference = diff.compare(whole=self._is_whole)
        return Preview(self._log.funnel, difference.adds, difference.changes, difference.removes, self._sample(diff))

    @property
    def _is_whole(self) -> bool:
        return self._request.checkpoint is None

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

    def _compare(self, writer: Writer) -> tuple[Diff, Difference, AudienceRef]:
        """The difference and the audience; one that the platform has lost is filled anew."""
        diff = Diff(self._connection, self._store, self._name)
        difference = diff.compare(whole=self._is_whole)
        before = self._store.audience_ref(self._name)
        if before and not difference.some:
            return diff, difference, before
        ref = writer.ensure(self._audience(before))
        if before and before.id != ref.id:
            self._forget_ledger()
            difference = diff.compare(whole=self._is_whole)
        with self._store.transaction(self._lease) as transaction:
            transaction.save_audience(self._name, ref)
        return diff, difference, ref

    def _guard(self, diff: Diff, difference: Difference) -> int:
        """Hold back removals that look like a broken extract, never those of suppressed people; returns how many."""
        empty = self._is_whole and self._log.funnel.in_segment == 0
        held = difference.removes - difference.suppressed
        if not held or not (empty or difference.removal_share > self._setup.activation.removal_limit):
            return 0
        diff.hold_removes()
        why = "the extract is empty" if empty else f"they are {difference.removal_share:.0%} of the audience"
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
        transfer.carry(
            ref, "add", diff.arriving(rows, transfer.refused_removals), arriving, self._sending("add", arriving)
        )

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

    def _finish(self, state: Mapping[str, Any] | None) -> None:
        activation, log = self._setup.activation, self._log
        with self._store.transaction(self._lease) as transaction:
            if state is not None:
                transaction.save_cursor(
                    self._name, self._setup.stream, activation.segment, {"basis": self._basis, "state": dict(state)}
                )
            transaction.save_segment(
                CDPSegment(
                    connection=activation.connection,
                    segment_id=activation.segment,
                    segment_name=activation.audience_name or activation.segment,
                    member_count=log.funnel.in_segment if self._is_whole else None,
                    last_sync=log.sync_timestamp,
                    sync_status="synced",
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
        size = 2 * diff.packed_bytes() + _BYTES_A_COLUMN * len(self._stage.columns)
        return max(1, min(limits.rows, int(limits.bytes / size)))

    def _sample(self, diff: Diff) -> Mapping[str, Any] | None:
        operations: tuple[tuple[Operation, Iterator[Any]], ...] = (
            ("add", diff.arriving(SAMPLE_MEMBERS, set())),
            ("remove", diff.leaving(SAMPLE_MEMBERS)),
        )
        ref = self._store.audience_ref(self._name) or AudienceRef(id="(new)", account="")
        for operation, chunks in operations:
            for rows in chunks:
                columns = batch_columns([unpack(packed) for *_, packed in rows], self._stage.columns)
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
            rendered: Mapping[str, Any] = destination.code.preview(destination.settings, batch)
        return rendered

    def _suppress_and_digest(self) -> str:
        """Bring the suppression lists up to date; a digest of all that decides who is desired besides the CDP's
        records.
        """
        setup = self._setup
        refresh(self._store, setup.bridge.suppressions, setup.profile)
        digest = hashlib.sha256()
        digest.update(
            msgspec.json.encode(
                (
                    setup.bridge.mappings[setup.activation.mapping],
                    setup.activation.consent,
                    load_profile(setup.profile).version,
                )
            )
        )
        for chunk in self._store.suppressed(setup.profile):
            digest.update(msgspec.msgpack.encode(sorted(chunk)))
        return digest.hexdigest()

    def _checkpoint(self) -> dict[str, Any] | None:
        """Where an incremental activation goes on from, unless something else than the CDP's records has changed since."""
        activation = self._setup.activation
        cursor = (
            self._store.cursor(self._name, self._setup.stream, activation.segment) if activation.incremental else None
        )
        return cursor["state"] if cursor and cursor["basis"] == self._basis else None

    @contextmanager
    def _open(self) -> Iterator[Writer]:
        destination = self._setup.destination
        with blame(destination.connector):
            opened = destination.code.open(destination.settings)
        with opened as writer:
            yield BlamedWriter(writer, destination.connector)

    def _held(self) -> Lease:
        assert self._lease is not None, "only a preview has no lease"
        return self._lease

    def _save(self) -> None:
        with self._store.transaction(self._lease) as transaction:
            transaction.save_run(self._log)

    def _sending(self, phase: str, total: int) -> Callable[[int], None]:
        return lambda done: self._progress(Progress(phase, done, total))


@contextmanager
def _connected() -> Iterator[duckdb.DuckDBPyConnection]:
    """The engine of one run; what exceeds its memory (digests only) spills into a folder that nobody else can read."""
    with (
        tempfile.TemporaryDirectory(prefix="cdp-bridge-") as folder,
        engine.connect(temp_directory=Path(folder)) as connection,
    ):
        yield connection


@contextmanager
def _kept(lease: Lease) -> Iterator[None]:
    """Renews the lease from a thread of its own, so that a long wait for the platform does not lose it."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(LEASE_SECONDS / 3):
            try:
                lease.renew()
            except LeaseLostError:
                return

    keeper = threading.Thread(target=renew, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()


@contextmanager
def _plain_failures() -> Iterator[None]:
    """The engine's own failures as BridgeError: DuckDB's messages may quote the values they are about."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise BridgeError(
            "the sync ran out of memory or of disk space for temporary files; free some and sync again"
        ) from error
    except (duckdb.Error, OSError) as error:
        raise BridgeError(
            f"the sync failed with {type(error).__name__}; nothing is half-done, the next sync goes on"
        ) from error
