"""The run of a conversion feed, which sends each event to the platform once.

The ledger keeps which events were sent, by their ids, and nothing of them: what is in doubt is read again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from cdp_bridge.delivery.transfer import Transfer
from cdp_bridge.failpoint import failpoint
from cdp_bridge.model import AudienceRef
from cdp_bridge.sync.context import RunContext
from cdp_bridge.sync.diff import Diff, Difference
from cdp_bridge.sync.extract import Extract, open_extract, read, saved_cursor
from cdp_bridge.sync.progress import Preview
from cdp_bridge.sync.steps import SAMPLE_MEMBERS, batch_rows, conclude, open_transfer, previewed, record_start


def sync_conversions(run: RunContext) -> None:
    """Send each event that is new or in doubt; nothing that was sent is changed or taken back."""
    ref = _ref(run)
    with open_extract(run) as extract:
        record_start(run, extract)
        state = read(run, extract)
        failpoint("staged")
        with open_transfer(run, extract) as (_, transfer):
            with run.transaction() as transaction:
                transaction.save_audience(run.name, ref)
            diff = Diff(extract.stage, run.store, run.name)
            difference = _compare(extract, diff, transfer.in_flight)
            refused = diff.refused()
            failpoint("diffed")
            run.log.adds, total = difference.adds, difference.arriving
            chunks = diff.arriving(batch_rows(run, extract, diff), without=set())
            transfer.deliver_all(ref, "track", chunks, total, run.delivering("track", total))
        _conclude(run, transfer, refused)
        with run.transaction() as transaction:
            if state is not None and not transfer.deferred:
                cursor = _next_cursor(run, extract, transfer, difference, state)
                transaction.save_cursor(run.name, run.setup.stream, run.setup.segment, cursor)
        failpoint("finished")


def preview_conversions(run: RunContext) -> Preview:
    """What `sync_conversions` would do now; reads only."""
    with open_extract(run) as extract:
        read(run, extract)
        diff = Diff(extract.stage, run.store, run.name)
        difference = _compare(extract, diff)
        chunks = diff.arriving(SAMPLE_MEMBERS, without=set())
        return previewed(run, extract, difference, [("track", chunks)])


def _compare(extract: Extract, diff: Diff, in_flight: Collection[bytes] = ()) -> Difference:
    return diff.compare(whole=True, unsettled=extract.unsettled, in_flight=in_flight, once=True)


def _conclude(run: RunContext, transfer: Transfer, refused: int) -> None:
    """`refused` events of this extract the platform has refused before."""
    log, funnel = run.log, run.log.funnel
    conclude(run, transfer, max(0, funnel.identifiable - refused - log.rejected - log.unknown - transfer.deferred))
    if funnel.not_suppressed:
        log.match_rate = funnel.accepted / funnel.not_suppressed


def _next_cursor(
    run: RunContext, extract: Extract, transfer: Transfer, difference: Difference, state: Mapping[str, Any]
) -> dict[str, Any]:
    """The cursor after this run.

    It must not pass an event that may have to be sent again. So of a run with something in doubt or pending the
    state is kept as `next`, and holds once nothing of that is left.
    """
    cursor: dict[str, Any] = {"basis": extract.basis(_ref(run))}
    if not (run.log.unknown or transfer.in_flight):
        return cursor | {"state": dict(state)}
    before = saved_cursor(run, extract.digest) or {}
    is_sent_again = difference.changes + difference.refreshes > 0
    is_over = not (transfer.in_flight or is_sent_again)
    last = before.get("next" if is_over and "next" in before else "state")
    return cursor | {"state": last, "next": dict(state)}


def _ref(run: RunContext) -> AudienceRef:
    return AudienceRef(id=run.setup.target.name, account=run.setup.account.name)
