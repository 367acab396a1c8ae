"""Carries the difference out: batches to the platform, every outcome to the ledger, so that a crash anywhere is
repaired by the next run.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from cdp_bridge.delivery.sender import Part, Sender
from cdp_bridge.entities import DeadLetter, SyncLog
from cdp_bridge.errors import BridgeError, RejectedError
from cdp_bridge.failpoint import failpoint
from cdp_bridge.model import AudienceRef, Batch, Operation, Outcome, Writer
from cdp_bridge.redact import redact
from cdp_bridge.staging.packing import Row, ahead, batch_columns, conversions, with_last
from cdp_bridge.store import Delivery, Lease, Store, Transaction

UNKNOWN = b""
"""The fingerprint of a ledger row whose state at the platform is not known: the next run sends it again."""


class _Open(Struct):
    """A delivery that went out; its parts wait for the next transaction, so that no batch needs a commit of its own."""

    delivery: Delivery
    parts: list[Part]


class Transfer:
    """The deliveries of one run to one audience, under its lease.

    `log` is kept current, and saved with every batch; `columns` are the profile's. `in_flight` are the members of whose
    deliveries the platform has not said the last word, `removing` those whose removal is under way. `not_removed` and
    `deferred` say who may still be at the platform under the old identifiers, and how many members were not delivered
    at all.
    """

    def __init__(self, store: Store, lease: Lease, sender: Sender, log: SyncLog, *, columns: Sequence[str]) -> None:
        self._store, self._lease, self._sender, self._log = store, lease, sender, log
        self._columns = columns
        self._dead = set(store.dead_letters.fingerprints(log.audience))
        self._open: _Open | None = None
        self.in_flight: set[bytes] = set()
        self.removing: set[bytes] = set()
        self.not_removed: set[bytes] = set()
        self.deferred = 0

    def carry(
        self,
        audience: AudienceRef,
        operation: Operation,
        chunks: Iterator[list[Row]],
        total: int,
        progress: Callable[[int], None],
    ) -> None:
        """Send all chunks of one operation, each as one batch, in order, and record their outcomes."""
        done = 0
        with closing(ahead(self._batches(audience, operation, chunks, total))) as batches:
            for number, ((rows, batch), last) in enumerate(with_last(batches), 1):
                self._deliver(rows, replace(batch, number=number, last=last))
                done += len(rows)
                progress(done)
        self.flush()

    def settle(self, writer: Writer, audience: AudienceRef | None) -> None:
        """Find out, or mark as unknown, what became of deliveries that an earlier run left open."""
        for delivery in self._store.deliveries(self._log.audience):
            outcome = _ask(writer, audience, delivery)
            with self._store.transaction(self._lease) as transaction:
                if outcome is None or audience is None:
                    self._doubt(transaction, delivery)
                else:
                    keys = [key for key, *_ in delivery.members]
                    batch = Batch(audience=audience, operation=delivery.operation, keys=keys, identifiers={})
                    known = self._store.ledger.rows(self._log.audience, keys)
                    doubtful = [row.member_key for row in known if not row.fingerprint]
                    self._record(transaction, delivery, [Part(batch, outcome)])
                    # In doubt since somebody who shares with them went after this was sent: they are sent again.
                    transaction.mark_in_doubt(self._log.audience, doubtful)
                    if outcome.pending is not None:
                        self.in_flight.update(keys)

    def flush(self) -> None:
        """Record the last delivery."""
        if self._open:
            with self._transaction():
                pass

    def _deliver(self, rows: list[Row], batch: Batch) -> None:
        delivery = Delivery(
            id=uuid.uuid4().hex,
            audience=self._log.audience,
            operation=batch.operation,
            run_id=self._log.run_id,
            members=list(map(_unpacked, rows)) if batch.events else rows,
            created_at=datetime.now(UTC),
        )
        with self._transaction() as transaction:
            transaction.open_delivery(delivery)
        failpoint("delivery_opened")
        self._open = _Open(delivery, [])
        try:
            for part in self._sender.send(batch):
                self._open.parts.append(part)
        except BridgeError:
            self._keep_answered(self._open)
            raise
        finally:
            self._log.membership_calls = self._sender.calls
        failpoint("written")
        self._log.records_processed += len(rows)

    def _keep_answered(self, opened: _Open) -> None:
        """Record the parts of a broken delivery that the platform has answered; only the others stay open."""
        answered = {key for part in opened.parts for key in part.batch.keys}
        if not answered:
            self._open = None
            return
        rest = [row for row in opened.delivery.members if row[0] not in answered]
        with self._transaction() as transaction:
            transaction.open_delivery(replace(opened.delivery, id=uuid.uuid4().hex, members=rest))

    def _batches(
        self, audience: AudienceRef, operation: Operation, chunks: Iterator[list[Row]], total: int
    ) -> Iterator[tuple[list[Row], Batch]]:
        for rows in chunks:
            if rows:
                yield rows, self._batch(audience, operation, rows, total)

    def _batch(self, audience: AudienceRef, operation: Operation, rows: Sequence[Row], total: int) -> Batch:
        return Batch(
            audience=audience,
            operation=operation,
            keys=[key for key, *_ in rows],
            identifiers=batch_columns([packed for *_, packed in rows], self._columns),
            events=conversions([packed for *_, packed in rows]) if operation == "track" else (),
            total=total,
        )

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        """Records the delivery that is open first, and saves the run last."""
        with self._store.transaction(self._lease) as transaction:
            if self._open:
                self._record(transaction, self._open.delivery, self._open.parts)
            yield transaction
            transaction.save_run(self._log)
        self._open = None
        failpoint("delivery_closed")

    def _doubt(self, transaction: Transaction, delivery: Delivery) -> None:
        transaction.close_delivery(delivery.id)
        if delivery.operation != "remove":
            rows = list(map(_doubtful, delivery.members))
            transaction.put_members(delivery.audience, rows, "unknown", datetime.now(UTC))
        else:
            transaction.mark_in_doubt(delivery.audience, [key for key, *_ in delivery.members])

    def _record(self, transaction: Transaction, delivery: Delivery, parts: Sequence[Part]) -> None:
        transaction.close_delivery(delivery.id)
        rows = {row[0]: row for row in delivery.members}
        for part in parts:
            self._record_part(transaction, delivery, part, [rows[key] for key in part.batch.keys])

    def _record_part(self, transaction: Transaction, delivery: Delivery, part: Part, rows: list[Row]) -> None:
        outcome, now = part.outcome, datetime.now(UTC)
        keys = {row[0] for row in rows}
        if outcome is None:
            self.deferred += len(rows)
            if delivery.operation == "remove":
                self.not_removed |= keys
            return
        rejected, unknown = keys & outcome.rejected.keys(), outcome.open(keys)
        if outcome.pending is not None:
            waiting = [row for row in rows if row[0] in unknown]
            pending = replace(delivery, id=uuid.uuid4().hex, members=waiting, status="pending", pending=outcome.pending)
            transaction.open_delivery(pending)
        _count(outcome.counts, into=self._log.funnel.platform_reasons)
        self._log.unknown += len(unknown)
        self._log.rejected += len(rejected)
        self._save_dead_letters(
            transaction, delivery, [row for row in rows if row[0] in rejected], outcome.rejected, now
        )
        self._dead |= rejected
        not_taken = rejected | unknown
        taken = [row for row in rows if row[0] not in not_taken]
        doubtful = [row for row in rows if row[0] in unknown]
        transaction.delete_dead_letters(delivery.audience, [row[0] for row in taken if row[0] in self._dead])
        if delivery.operation == "remove":
            transaction.drop_members(delivery.audience, [row[0] for row in taken])
            transaction.mark_in_doubt(delivery.audience, [row[0] for row in doubtful])
            self.not_removed |= not_taken
            self.removing |= unknown if outcome.pending is not None else set()
            return
        # What is pending is not sent again before it is settled.
        doubtful = doubtful if outcome.pending is not None else list(map(_doubtful, doubtful))
        transaction.put_members(delivery.audience, taken, "accepted", now)
        transaction.put_members(delivery.audience, doubtful, "unknown", now)
        self._doubt_known(transaction, delivery.audience, rejected, now)

    def _doubt_known(self, transaction: Transaction, audience: str, rejected: Collection[bytes], now: datetime) -> None:
        """Refused members that the ledger has may be in from before, so they stay there to be removed some day."""
        known = self._store.ledger.rows(audience, list(rejected)) if rejected else []
        rows = [(one.member_key, UNKNOWN, one.user_id, one.identifiers) for one in known]
        transaction.put_members(audience, rows, "unknown", now)

    def _save_dead_letters(
        self, transaction: Transaction, delivery: Delivery, rows: list[Row], reasons: Mapping[bytes, str], now: datetime
    ) -> None:
        """A refused removal is tried again in every run, so its letter has no fingerprint to wait for."""
        transaction.save_dead_letters(
            [
                DeadLetter(
                    audience=delivery.audience,
                    member_key=key,
                    fingerprint=UNKNOWN if delivery.operation == "remove" else print_,
                    operation=delivery.operation,
                    reason=redact(reasons[key]),
                    run_id=delivery.run_id,
                    created_at=now,
                )
                for key, print_, *_ in rows
            ]
        )


def _count(counts: Mapping[str, int], *, into: dict[str, int]) -> None:
    for reason, count in counts.items():
        # From outside, and kept: never more than a short word.
        name = redact(reason)[:64]
        into[name] = into.get(name, 0) + count


def _doubtful(row: Row) -> Row:
    key, _, user_id, packed = row
    return key, UNKNOWN, user_id, packed


def _unpacked(row: Row) -> Row:
    """A conversion as the ledger keeps it: that it was sent, not what it was; the source has it to be sent again."""
    key, print_, user_id, _ = row
    return key, print_, user_id, b""


def _ask(writer: Writer, audience: AudienceRef | None, delivery: Delivery) -> Outcome | None:
    """The platform's last word on a delivery; None when there is no way to learn it."""
    if delivery.pending is None or audience is None:
        return None
    try:
        return writer.settle(audience, delivery.pending)
    except RejectedError:
        return None
