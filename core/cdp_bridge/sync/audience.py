"""The run of an activation: its audience becomes equal to its segment."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from cdp_bridge.delivery.sender import Sender
from cdp_bridge.delivery.transfer import Transfer
from cdp_bridge.entities import Activation, CDPSegment
from cdp_bridge.errors import BridgeError
from cdp_bridge.failpoint import failpoint
from cdp_bridge.model import Audience, AudienceRef, Operation
from cdp_bridge.staging.packing import Row
from cdp_bridge.sync.diff import Diff, Difference
from cdp_bridge.sync.execution import Execution, digest_of

ESTIMATE_LASTS = timedelta(days=1)
"""How long the platform's word on state and size of an audience that does not change is good enough."""


class LostAudienceError(BridgeError):
    """The platform has another audience than the ledger is about; the ledger has been emptied, so everything must be
    read.
    """


class AudienceExecution(Execution):
    """One run of an activation; LostAudienceError when it has to begin again."""

    _ref: AudienceRef
    _waiting = 0
    """Removals that wait for approval."""

    def _compare(self, diff: Diff, in_flight: Collection[bytes] = ()) -> Difference:
        return diff.compare(whole=self._is_whole, unsettled=self._unsettled, in_flight=in_flight)

    def _carry_out(self, sender: Sender, transfer: Transfer, approve_removals: bool) -> None:
        diff = Diff(self._connection, self._store, self._name)
        difference = self._compare(diff, transfer.in_flight)
        self._ref = self._ensured(sender, difference)
        transfer.deferred += difference.waiting
        self._waiting = 0 if approve_removals else self._guard(diff, difference)
        failpoint("diffed")
        log = self._log
        log.adds, log.changes, log.removes = difference.adds, difference.changes, difference.removes - self._waiting
        self._deliver(diff, difference, transfer)

    def _accepted(self, transfer: Transfer) -> int:
        return self._store.ledger.count(self._name, outcome="accepted")

    def _conclude(self, transfer: Transfer) -> None:
        super()._conclude(transfer)
        funnel = self._log.funnel
        if self._is_whole and funnel.not_suppressed:
            self._log.match_rate = min(funnel.accepted / funnel.not_suppressed, 1.0)
        if self._ref.asked_at == self._log.sync_timestamp:
            funnel.matched_lower, funnel.matched_upper = self._ref.lower_bound, self._ref.upper_bound
        if self._waiting:
            self._log.status = "waiting"

    def _finish(self, transfer: Transfer, state: Mapping[str, Any] | None) -> None:
        setup, log = self._setup, self._log
        known = self._known_segment()
        is_settled = not (self._waiting or transfer.deferred or transfer.not_removed or self._is_empty)
        with self._store.transaction(self._lease) as transaction:
            if state is not None and is_settled:
                cursor = {"basis": self._basis(self._ref), "state": dict(state)}
                transaction.save_cursor(self._name, setup.stream, setup.segment, cursor)
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

    def _parts(self, diff: Diff, rows: int) -> Iterator[tuple[Operation, Iterator[list[Row]]]]:
        yield "add", diff.arriving(rows, without=set())
        yield "remove", diff.leaving(rows)

    @property
    def _activation(self) -> Activation:
        activation = self._setup.sync
        assert isinstance(activation, Activation)
        return activation

    @property
    def _is_empty(self) -> bool:
        """Nobody is in the segment, which is more often a fault on the way than the truth."""
        return self._is_whole and self._log.funnel.in_segment == 0

    def _ensured(self, sender: Sender, difference: Difference) -> AudienceRef:
        """The audience; the platform is asked for it only if there is something to send, or its word is old."""
        before = self._store.audience_ref(self._name)
        account = self._setup.account
        digest = digest_of(account.connector, account.settings, self._setup.target.name)
        is_same = before and before.id and self._store.settings_digest(self._name) == digest
        if before and is_same and not difference.some and not self._is_old(before):
            return before
        activation = self._activation
        name = activation.audience_name or activation.segment
        ref = sender.ensure(Audience(marker=self._marker(), name=name, ref=before, object=self._setup.target.name))
        ref = replace(ref, asked_at=self._log.sync_timestamp)
        is_lost = before is not None and before.id not in ("", ref.id)
        if is_lost:
            self._forget_ledger()
        with self._store.transaction(self._lease) as transaction:
            transaction.save_audience(self._name, ref, digest)
        if is_lost:
            raise LostAudienceError("the platform has lost the audience twice while it was being filled")
        return ref

    def _is_old(self, ref: AudienceRef) -> bool:
        return ref.asked_at is None or self._log.sync_timestamp - ref.asked_at > ESTIMATE_LASTS

    def _marker(self) -> str:
        """Unique to this bridge and activation, so that nobody else's audience is ever taken for ours."""
        return hashlib.sha256(self._store.key("marker") + self._name.encode()).hexdigest()[:20]

    def _forget_ledger(self) -> None:
        for chunk in self._store.ledger.fingerprints(self._name):
            with self._store.transaction(self._lease) as transaction:
                transaction.drop_members(self._name, [key for key, _ in chunk])

    def _guard(self, diff: Diff, difference: Difference) -> int:
        """Hold back removals that look like a broken extract, never those of suppressed people; returns how many."""
        held = difference.removes - difference.suppressed
        if not held or not (self._is_empty or difference.removal_share > self._activation.removal_limit):
            return 0
        held = diff.hold_removes()
        if not held:
            return 0
        why = "the extract is empty" if self._is_empty else f"they are {difference.removal_share:.0%} of the audience"
        self._log.error = (
            f"{held} removals wait for approval, since {why}. Check the segment, then sync with --approve-removals"
        )
        return held

    def _deliver(self, diff: Diff, difference: Difference, transfer: Transfer) -> None:
        """Removes first: what they tear away from members who stay is then added again."""
        shared = diff.share_identifiers()
        if shared:
            with self._store.transaction(self._lease) as transaction:
                transaction.mark_in_doubt(self._name, shared)
        rows, ref = self._batch_rows(diff), self._ref
        leaving, arriving = difference.leaving - self._waiting, difference.arriving + len(shared)
        transfer.carry(ref, "remove", diff.leaving(rows), leaving, self._sending("remove", leaving))
        # While a removal is under way, what it takes with it may not be sent again: either could come last. Who is on
        # the way already comes with the next run.
        early = (diff.sharing(transfer.removing) | transfer.in_flight.intersection(shared)) - transfer.not_removed
        transfer.deferred += len(early)
        staying = diff.arriving(rows, transfer.not_removed | early)
        transfer.carry(ref, "add", staying, arriving, self._sending("add", arriving))

    def _known_segment(self) -> CDPSegment:
        activation = self._activation
        connection, segment = activation.connection, activation.segment
        unknown = CDPSegment(connection=connection, segment_id=segment, segment_name=segment)
        found = (one for one in self._store.segments() if (one.connection, one.segment_id) == (connection, segment))
        return next(found, unknown)
