"""Carries the difference out: batches to the platform, every outcome to the ledger, so that a crash anywhere is
repaired by the next run.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from ..entities import DeadLetter, SyncLog
from ..failpoint import failpoint
from ..model import AudienceRef, Batch, Operation, Writer
from ..store import Delivery, Lease, Store, Transaction
from .deliver import Part, Sender
from .members import Row, ahead, batch_columns, unpack

UNKNOWN = b""
"""The fingerprint of a ledger row whose state at the platform is not known: the next run sends it again."""


class _Open(Struct):
    """A delivery that went out; its parts wait for the next transaction, which spares every batch a commit of its own."""

    delivery: Delivery
    parts: list[Part]


class Transfer:
    """The deliveries of one run to one audience, under its lease.

    `log` is kept current, and saved with every batch; `columns` are the profile's. `refused_removals` and `deferred`
    say whose removal the platform refused, and how many members were not delivered at all.
    """

    def __init__(self, store: Store, lease: Lease, sender: Sender, log: SyncLog, *, columns: Sequence[str]) -> None:
        self._store, self._lease, self._sender, self._log = store, lease, sender, log
        self._columns = columns
        self._dead = set(store.dead_fingerprints(log.audience))
        self._open: _Open | None = None
        self.refused_removals: set[bytes] = set()
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
        for number, (rows, batch) in enumerate(ahead(self._batches(audience, operation, chunks, total)), 1):
            done += len(rows)
            delivery = Delivery(
                id=uuid.uuid4().hex,
                audience=self._log.audience,
                operation=operation,
                run_id=self._log.run_id,
                members=rows,
                created_at=datetime.now(UTC),
            )
            with self._transaction() as transaction:
                transaction.open_delivery(delivery)
            failpoint("delivery_opened")
            parts = self._sender.send(replace(batch, number=number, last=done >= total))
            failpoint("written")
            self._log.membership_calls = self._sender.calls
            self._open = _Open(delivery, parts)
            self._log.records_processed += len(rows)
            progress(done)
        self.flush()

    def settle(self, writer: Writer, audience: AudienceRef | None) -> None:
        """Find out, or mark as unknown, what became of deliveries that an earlier run left open."""
        for delivery in self._store.deliveries(self._log.audience):
            with self._store.transaction(self._lease) as transaction:
                if delivery.pending is None or audience is None:
                    self._doubt(transaction, delivery)
                else:
                    outcome = writer.settle(audience, delivery.pending)
                    self._record(
                        transaction,
                        delivery,
                        [Part(self._batch(audience, delivery.operation, delivery.members, 0), outcome)],
                    )

    def flush(self) -> None:
        """Record the last delivery."""
        if self._open:
            with self._transaction():
                pass

    def _batches(
        self, audience: AudienceRef, operation: Operation, chunks: Iterator[list[Row]], total: int
    ) -> Iterator[tuple[list[Row], Batch]]:
        for rows in chunks:
            if rows:
                yield rows, self._batch(audience, operation, rows, total)

    def _batch(self, audience: AudienceRef, operation: Operation, rows: Sequence[Row], total: int) -> Batch:
        members = [unpack(packed) for *_, packed in rows]
        return Batch(
            audience=audience,
            operation=operation,
            keys=[key for key, *_ in rows],
            identifiers=batch_columns(members, self._columns),
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
        if delivery.operation == "add":
            rows = [(key, UNKNOWN, user_id, packed) for key, _, user_id, packed in delivery.members]
            transaction.put_members(delivery.audience, rows, "unknown", datetime.now(UTC))
        else:
            transaction.blank_members(delivery.audience, [key for key, *_ in delivery.members])

    def _record(self, transaction: Transaction, delivery: Delivery, parts: Sequence[Part]) -> None:
        transaction.close_delivery(delivery.id)
        rows = {row[0]: row for row in delivery.members}
        for part in parts:
            self._record_part(transaction, delivery, part, [rows[key] for key in part.batch.keys])

    def _record_part(self, transaction: Transaction, delivery: Delivery, part: Part, rows: list[Row]) -> None:
        outcome, now = part.outcome, datetime.now(UTC)
        if outcome is None:
            self.deferred += len(rows)
            return
        if outcome.pending is not None:
            transaction.open_delivery(
                replace(delivery, id=uuid.uuid4().hex, members=rows, status="pending", pending=outcome.pending)
            )
        unknown = {row[0] for row in rows} if outcome.pending is not None else outcome.unknown
        self._log.unknown += len(unknown)
        self._log.rejected += len(outcome.rejected)
        self._bury(transaction, delivery, [row for row in rows if row[0] in outcome.rejected], outcome.rejected, now)
        taken = [row for row in rows if row[0] not in outcome.rejected and row[0] not in unknown]
        doubtful = [row for row in rows if row[0] in unknown]
        if delivery.operation == "add":
            transaction.put_members(delivery.audience, taken, "accepted", now)
            transaction.put_members(delivery.audience, doubtful, "unknown", now)
        else:
            transaction.drop_members(delivery.audience, [row[0] for row in taken])
            transaction.blank_members(delivery.audience, [row[0] for row in doubtful])
            self.refused_removals |= set(outcome.rejected)
        transaction.exhume(delivery.audience, [row[0] for row in taken if row[0] in self._dead])

    def _bury(
        self, transaction: Transaction, delivery: Delivery, rows: list[Row], reasons: Mapping[bytes, str], now: datetime
    ) -> None:
        transaction.bury(
            [
                DeadLetter(
                    audience=delivery.audience,
                    member_key=key,
                    fingerprint=print_,
                    operation=delivery.operation,
                    reason=reasons[key],
                    run_id=delivery.run_id,
                    created_at=now,
                )
                for key, print_, *_ in rows
            ]
        )
