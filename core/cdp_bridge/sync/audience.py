"""The run of an activation, which brings its audience in sync with its segment."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any

from msgspec.structs import replace

from cdp_bridge.delivery.transfer import Transfer
from cdp_bridge.entities import Activation, CDPSegment, MatchEstimate
from cdp_bridge.failpoint import failpoint
from cdp_bridge.model import AudienceRef
from cdp_bridge.sync.context import RunContext
from cdp_bridge.sync.diff import Diff, Difference
from cdp_bridge.sync.ensure import LostAudienceError, ensure
from cdp_bridge.sync.extract import Extract, open_extract, read
from cdp_bridge.sync.progress import Preview
from cdp_bridge.sync.steps import (
    SAMPLE_MEMBERS,
    Parts,
    batch_rows,
    conclude,
    open_transfer,
    previewed,
    record_start,
)

log = logging.getLogger(__name__)


def sync_audience(run: RunContext, *, approve_removals: bool) -> None:
    """Bring the audience in sync with the segment; if the platform has lost what was in it, fill it anew, once."""
    try:
        _sync_once(run, approve_removals)
    except LostAudienceError as lost:
        log.warning("%s", lost)
        try:
            _sync_once(run, approve_removals)
        except LostAudienceError:
            raise LostAudienceError("the platform has lost the audience twice while it was being filled") from None


def preview_audience(run: RunContext) -> Preview:
    """What `sync_audience` would do now; reads only."""
    with open_extract(run) as extract:
        read(run, extract)
        diff = Diff(extract.stage, run.store, run.name)
        difference = _compare(extract, diff)
        return previewed(run, extract, difference, _parts(diff, SAMPLE_MEMBERS))


def _sync_once(run: RunContext, approve_removals: bool) -> None:
    with open_extract(run) as extract:
        record_start(run, extract)
        state = read(run, extract)
        failpoint("staged")
        with open_transfer(run, extract) as (sender, transfer):
            diff = Diff(extract.stage, run.store, run.name)
            difference = _compare(extract, diff, transfer.in_flight)
            transfer.deferred += difference.waiting
            ref = ensure(run, sender, _activation(run))
            held = 0 if approve_removals else _hold_removals(run, extract, diff, difference)
            failpoint("diffed")
            difference = replace(difference, removes=difference.removes - held)
            run.log.adds, run.log.changes, run.log.removes = difference.adds, difference.changes, difference.removes
            _deliver(run, transfer, diff, difference, ref, batch_rows(run, extract, diff))
        _conclude(run, extract, transfer, ref, held)
        is_settled = not (held or transfer.deferred or transfer.not_removed or _is_empty(run, extract))
        _finish(run, extract, ref, state if is_settled else None)
        failpoint("finished")


def _compare(extract: Extract, diff: Diff, in_flight: Collection[bytes] = ()) -> Difference:
    return diff.compare(whole=extract.is_whole, unsettled=extract.unsettled, in_flight=in_flight)


def _parts(diff: Diff, rows: int) -> Parts:
    yield "add", diff.arriving(rows, without=set())
    yield "remove", diff.leaving(rows)


def _hold_removals(run: RunContext, extract: Extract, diff: Diff, difference: Difference) -> int:
    """Hold back removals that look like a broken extract, never those of suppressed people; returns how many."""
    removal_limit, is_empty = _activation(run).removal_limit, _is_empty(run, extract)
    if difference.removes == difference.suppressed or not (is_empty or difference.removal_share > removal_limit):
        return 0
    held = diff.hold_removes()
    if held:
        why = "the extract is empty" if is_empty else f"they are {difference.removal_share:.0%} of the audience"
        run.note(
            f"{held} removals wait for approval, since {why}. Check the segment, then sync with --approve-removals"
        )
    return held


def _is_empty(run: RunContext, extract: Extract) -> bool:
    """Nobody is in the segment, which is more often a fault on the way than the truth."""
    return extract.is_whole and run.log.funnel.in_segment == 0


def _deliver(
    run: RunContext, transfer: Transfer, diff: Diff, difference: Difference, ref: AudienceRef, rows: int
) -> None:
    """Removes first: members who stay and lose an identifier by that are added again afterwards."""
    shared = diff.share_identifiers()
    if shared:
        with run.transaction() as transaction:
            transaction.mark_in_doubt(run.name, shared)
    leaving, arriving = difference.leaving, difference.arriving + len(shared)
    transfer.deliver_all(ref, "remove", diff.leaving(rows), leaving, run.delivering("remove", leaving))
    # While a removal is under way, what it takes with it may not be sent again: either could come last. Who is on
    # the way already comes with the next run.
    early = (diff.sharing(transfer.removing) | transfer.in_flight.intersection(shared)) - transfer.not_removed
    transfer.deferred += len(early)
    staying = diff.arriving(rows, transfer.not_removed | early)
    transfer.deliver_all(ref, "add", staying, arriving, run.delivering("add", arriving))


def _conclude(run: RunContext, extract: Extract, transfer: Transfer, ref: AudienceRef, held: int) -> None:
    conclude(run, transfer, run.store.ledger.count(run.name, outcome="accepted"))
    funnel = run.log.funnel
    if extract.is_whole and funnel.not_suppressed:
        run.log.match_rate = min(funnel.accepted / funnel.not_suppressed, 1.0)
    funnel.matched_lower, funnel.matched_upper = ref.matched or (None, None)
    if held:
        run.log.status = "waiting"


def _finish(run: RunContext, extract: Extract, ref: AudienceRef, state: Mapping[str, Any] | None) -> None:
    """Record the end of the run, the segment, and from where the next run goes on, if there is a `state`."""
    segment = _known_segment(run)
    with run.transaction() as transaction:
        if state is not None:
            cursor = {"basis": extract.basis(ref), "state": dict(state)}
            transaction.save_cursor(run.name, run.setup.stream, run.setup.segment, cursor)
        told = ref.matched, ref.match_rate
        if estimate := MatchEstimate.of(run.name, run.log.sync_timestamp, "audience", run.log.funnel.accepted, told):
            transaction.save_match_estimate(estimate)
        transaction.save_segment(
            replace(
                segment,
                member_count=run.log.funnel.in_segment if extract.is_whole else segment.member_count,
                last_sync=run.log.sync_timestamp,
                sync_status="synced",
                gone_since=None,
            )
        )


def _known_segment(run: RunContext) -> CDPSegment:
    activation = _activation(run)
    connection, segment_id = activation.connection, activation.segment
    for segment in run.store.segments():
        if (segment.connection, segment.segment_id) == (connection, segment_id):
            return segment
    return CDPSegment(connection=connection, segment_id=segment_id, segment_name=segment_id)


def _activation(run: RunContext) -> Activation:
    activation = run.setup.sync
    assert isinstance(activation, Activation)
    return activation
