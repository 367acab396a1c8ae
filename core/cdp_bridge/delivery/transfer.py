"""Delivers members: batches to the platform, every outcome to the ledger, so that a crash anywhere is repaired by the
next delivery.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from cdp_bridge.delivery.batches import ahead, make_batch, with_last
from cdp_bridge.delivery.sender import Part, Sender
from cdp_bridge.entities import DeadLetter, MatchEstimate
from cdp_bridge.errors import BridgeError, RejectedError
from cdp_bridge.failpoint import failpoint
from cdp_bridge.model import AudienceRef, Batch, Operation, Outcome, Writer
from cdp_bridge.redact import redact
from cdp_bridge.staging.packing import Row
from cdp_bridge.store import Delivery, Store, Transaction

UNKNOWN = b""
"""The fingerprint of a ledger row whose state at the platform is not known: the next run sends it again."""


class DeliveryCounts(Struct):
    """What was delivered so far, in members, and in how many `calls` of the writer.

    `processed` were sent, whatever became of them. The platform has refused `rejected` by name, and has not said what
    became of `unknown`; `reasons` are its own counts of members that it dropped without naming them.
    """

    calls: int = 0
    processed: int = 0
    rejected: int = 0
    unknown: int = 0
    reasons: dict[str, int] = {}


class Recorder(Struct, frozen=True, kw_only=True):
    """Where deliveries to an audience are recorded.

    `run_id` names whoever delivers, `transaction` opens a transaction under the audience's lease. `counts` are added up
    here before such a transaction ends, so that it can record them too.
    """

    audience: str
    run_id: str
    transaction: Callable[[], AbstractContextManager[Transaction]]
    counts: DeliveryCounts


class _Open(Struct):
    """A delivery that went out; its parts wait for the next transaction, so that no batch needs a commit of its own."""

    delivery: Delivery
    parts: list[Part]


class Transfer:
    """Deliveries to one audience, one after another, for whoever holds its lease.

    `columns` are the profile's. `in_flight` are the members whose deliveries the platform has not settled,
    `removing` those whose removal is under way. `not_removed` and `deferred` say who may still be at the platform
    under the old identifiers, and how many members were not delivered at all.
    """

    def __init__(self, store: Store, recorder: Recorder, sender: Sender, columns: Sequence[str]) -> None:
        self._store, self._recorder, self._sender = store, recorder, sender
        self._audience, self._counts = recorder.audience, recorder.counts
        self._columns = columns
        self._dead = set(store.dead_letters.fingerprints(self._audience))
        self._open: _Open | None = None
        self.in_flight: set[bytes] = set()
        self.removing: set[bytes] = set()
        self.not_removed: set[bytes] = set()
        self.deferred = 0

    def deliver_all(
        self,
        audience: AudienceRef,
        operation: Operation,
        chunks: Iterator[list[Row]],
        total: int,
        progress: Callable[[int], None],
    ) -> None:
        """Send all chunks of one operation, each as one batch, in order, and record their outcomes."""
        done = 0
        made = ((rows, make_batch(audience, operation, rows, self._columns, total)) for rows in chunks if rows)
        with closing(ahead(made)) as batches:
            for number, ((rows, batch), last) in enumerate(with_last(batches), 1):
                self._deliver(rows, replace(batch, number=number, last=last))
                done += len(rows)
                progress(done)
        self.flush()

    def settle(self, writer: Writer, audience: AudienceRef | None) -> None:
        """Find out, or mark as unknown, what became of deliveries that were left open earlier."""
        for delivery in self._store.deliveries(self._audience):
            outcome = _settled(writer, audience, delivery)
            with self._recorder.transaction() as transaction:
                if outcome is None or audience is None:
                    self._mark_in_doubt(transaction, delivery)
                else:
                    self._settle(transaction, delivery, audience, outcome)

    def flush(self) -> None:
        """Record the last delivery."""
        if self._open:
            with self._transaction():
                pass

    def _settle(self, transaction: Transaction, delivery: Delivery, audience: AudienceRef, outcome: Outcome) -> None:
        keys = [key for key, *_ in delivery.members]
        batch = Batch(audience=audience, operation=delivery.operation, keys=keys, identifiers={})
        known = self._store.ledger.rows(self._audience, keys)
        doubtful = [row.member_key for row in known if not row.fingerprint]
        self._record(transaction, delivery, [Part(batch, outcome)])
        # In doubt since somebody who shares with them went after this was sent: they are sent again.
        transaction.mark_in_doubt(self._audience, doubtful)
        if outcome.pending is not None:
            self.in_flight.update(keys)

    def _deliver(self, rows: list[Row], batch: Batch) -> None:
        delivery = Delivery(
            id=uuid.uuid4().hex,
            audience=self._audience,
            operation=batch.operation,
            run_id=self._recorder.run_id,
            members=list(map(_without_event, rows)) if batch.events else rows,
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
            self._counts.calls = self._sender.calls
        failpoint("written")
        self._counts.processed += len(rows)

    def _keep_answered(self, opened: _Open) -> None:
        """Record the parts of a broken delivery that the platform has answered; only the others stay open."""
        answered = {key for part in opened.parts for key in part.batch.keys}
        if not answered:
            self._open = None
            return
        rest = [row for row in opened.delivery.members if row[0] not in answered]
        with self._transaction() as transaction:
            transaction.open_delivery(replace(opened.delivery, id=uuid.uuid4().hex, members=rest))

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        """Records the delivery that is open first."""
        with self._recorder.transaction() as transaction:
            if self._open:
                self._record(transaction, self._open.delivery, self._open.parts)
            yield transaction
        self._open = None
        failpoint("delivery_closed")

    def _mark_in_doubt(self, transaction: Transaction, delivery: Delivery) -> None:
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
        taken = [row for row in rows if row[0] not in rejected and row[0] not in unknown]
        doubtful = [row for row in rows if row[0] in unknown]
        if outcome.pending is not None:
            pending = replace(
                delivery, id=uuid.uuid4().hex, members=doubtful, status="pending", pending=outcome.pending
            )
            transaction.open_delivery(pending)
        self._count(outcome, rejected=len(rejected), unknown=len(unknown))
        told = None, outcome.match_rate
        if estimate := MatchEstimate.of(delivery.audience, now, "upload", len(rows), told):
            transaction.save_match_estimate(estimate)
        self._save_dead_letters(transaction, delivery, [row for row in rows if row[0] in rejected], outcome, now)
        self._dead |= rejected
        transaction.delete_dead_letters(delivery.audience, [row[0] for row in taken if row[0] in self._dead])
        if delivery.operation == "remove":
            transaction.drop_members(delivery.audience, [row[0] for row in taken])
            transaction.mark_in_doubt(delivery.audience, [row[0] for row in doubtful])
            self.not_removed |= rejected | unknown
            self.removing |= unknown if outcome.pending is not None else set()
            return
        # What is pending is not sent again before it is settled.
        doubtful = doubtful if outcome.pending is not None else list(map(_doubtful, doubtful))
        transaction.put_members(delivery.audience, taken, "accepted", now)
        transaction.put_members(delivery.audience, doubtful, "unknown", now)
        self._mark_known_in_doubt(transaction, delivery.audience, rejected, now)

    def _count(self, outcome: Outcome, *, rejected: int, unknown: int) -> None:
        self._counts.rejected += rejected
        self._counts.unknown += unknown
        for reason, count in outcome.counts.items():
            # From outside, and saved: never more than a short word.
            name = redact(reason)[:64]
            self._counts.reasons[name] = self._counts.reasons.get(name, 0) + count

    def _mark_known_in_doubt(
        self, transaction: Transaction, audience: str, rejected: Collection[bytes], now: datetime
    ) -> None:
        """Refused members that the ledger has may be in from before, so they stay there to be removed some day."""
        known = self._store.ledger.rows(audience, list(rejected)) if rejected else []
        rows = [(row.member_key, UNKNOWN, row.user_id, row.identifiers) for row in known]
        transaction.put_members(audience, rows, "unknown", now)

    def _save_dead_letters(
        self, transaction: Transaction, delivery: Delivery, rows: list[Row], outcome: Outcome, now: datetime
    ) -> None:
        """A refused removal is tried again in every run, so its dead letter has no fingerprint to wait for."""
        transaction.save_dead_letters(
            [
                DeadLetter(
                    audience=delivery.audience,
                    member_key=key,
                    fingerprint=UNKNOWN if delivery.operation == "remove" else fingerprint,
                    operation=delivery.operation,
                    reason=redact(outcome.rejected[key]),
                    run_id=delivery.run_id,
                    created_at=now,
                )
                for key, fingerprint, *_ in rows
            ]
        )


def _doubtful(row: Row) -> Row:
    key, _, user_id, packed = row
    return key, UNKNOWN, user_id, packed


def _without_event(row: Row) -> Row:
    """A conversion as the ledger keeps it: that it was sent, not what it was; the source has it to be sent again."""
    key, fingerprint, user_id, _ = row
    return key, fingerprint, user_id, b""


def _settled(writer: Writer, audience: AudienceRef | None, delivery: Delivery) -> Outcome | None:
    """The outcome of an open delivery, as the platform says now; None when there is no way to learn it."""
    if delivery.pending is None or audience is None:
        return None
    try:
        return writer.settle(audience, delivery.pending)
    except RejectedError:
        return None
