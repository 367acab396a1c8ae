"""The run of a conversion feed: the platform is told of each event once.

The ledger keeps which events were sent, by their ids, and nothing of them: what is in doubt is read again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from cdp_bridge.delivery.sender import Sender
from cdp_bridge.delivery.transfer import Transfer
from cdp_bridge.failpoint import failpoint
from cdp_bridge.model import AudienceRef, Operation
from cdp_bridge.staging.packing import Row
from cdp_bridge.sync.diff import Diff, Difference
from cdp_bridge.sync.execution import Execution


class ConversionExecution(Execution):
    """One run of a conversion feed; nothing that was sent is changed or taken back."""

    _refused = 0
    """Events of this extract that the platform has refused before."""
    _again = 0
    """Events that were in doubt, and are told again."""

    def _compare(self, diff: Diff, in_flight: Collection[bytes] = ()) -> Difference:
        return diff.compare(whole=True, unsettled=self._unsettled, in_flight=in_flight, once=True)

    def _carry_out(self, sender: Sender, transfer: Transfer, approve_removals: bool) -> None:
        with self._store.transaction(self._lease) as transaction:
            transaction.save_audience(self._name, self._ref)
        diff = Diff(self._connection, self._store, self._name)
        difference = self._compare(diff, transfer.in_flight)
        self._refused, self._again = diff.refused(), difference.changes + difference.refreshes
        failpoint("diffed")
        self._log.adds, total = difference.adds, difference.arriving
        for operation, chunks in self._parts(diff, self._batch_rows(diff)):
            transfer.carry(self._ref, operation, chunks, total, self._sending(operation, total))

    def _accepted(self, transfer: Transfer) -> int:
        log = self._log
        return max(0, log.funnel.identifiable - self._refused - log.rejected - log.unknown - transfer.deferred)

    def _conclude(self, transfer: Transfer) -> None:
        super()._conclude(transfer)
        funnel = self._log.funnel
        if funnel.not_suppressed:
            self._log.match_rate = funnel.accepted / funnel.not_suppressed

    def _finish(self, transfer: Transfer, state: Mapping[str, Any] | None) -> None:
        setup = self._setup
        with self._store.transaction(self._lease) as transaction:
            if state is not None and not transfer.deferred:
                transaction.save_cursor(self._name, setup.stream, setup.segment, self._advanced(transfer, state))
            transaction.save_run(self._log)

    def _parts(self, diff: Diff, rows: int) -> Iterator[tuple[Operation, Iterator[list[Row]]]]:
        yield "track", diff.arriving(rows, without=set())

    @property
    def _ref(self) -> AudienceRef:
        return AudienceRef(id=self._setup.target.name, account=self._setup.account.name)

    def _advanced(self, transfer: Transfer, state: Mapping[str, Any]) -> dict[str, Any]:
        """The cursor after this run.

        It must not pass an event that may have to be sent again. So of a run with something in doubt or pending the
        state is kept as `next`, and holds once nothing of that is left.
        """
        before = self._cursor() or {}
        cursor: dict[str, Any] = {"basis": self._basis(self._ref)}
        if not (self._log.unknown or transfer.in_flight):
            return cursor | {"state": dict(state)}
        is_over = not (transfer.in_flight or self._again)
        past = before.get("next" if is_over and "next" in before else "state")
        return cursor | {"state": past, "next": dict(state)}
