"""The run of an activation, which brings its audience in sync with its segment."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from cdp_bridge.delivery.sender import Sender
from cdp_bridge.delivery.transfer import Transfer
from cdp_bridge.entities import Activation, CDPSegment, MatchEstimate
from cdp_bridge.errors import BridgeError
from cdp_bridge.failpoint import failpoint
from cdp_bridge.model import Audience, AudienceRef
from cdp_bridge.sync.context import RunContext
from cdp_bridge.sync.diff import Diff, Difference
from cdp_bridge.sync.extract import Extract, digest_of, open_extract, read
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

ESTIMATE_LASTS = timedelta(days=1)
"""How long state and size of an audience that does not change are good enough as the platform said them last."""


class LostAudienceError(BridgeError):
    """The platform has another audience than the ledger is about; the ledger has been emptied, so everything must be
    read.
    """


def sync_audience(run: RunContext, *, approve_removals: bool) -> None:
    """Bring the audience in sync with the segment; if the platform has lost the audience, fill it anew, once."""
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
            ref = _find_or_make(run, sender, difference)
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


def _find_or_make(run: RunContext, sender: Sender, difference: Difference) -> AudienceRef:
    """The audience; the platform is asked for it only if there is something to send, or its last answer is old."""
    before = run.store.audience_ref(run.name)
    account, target = run.setup.account, run.setup.target.name
    digest = digest_of(account.connector, account.settings, target)
    is_same = run.store.settings_digest(run.name) == digest
    if before and before.id and is_same and difference.is_empty and not _is_old(run, before):
        return before
    activation = _activation(run)
    name = activation.audience_name or activation.segment
    ref = sender.ensure(Audience(marker=_marker(run), name=name, ref=before, object=target))
    ref = replace(ref, asked_at=run.log.sync_timestamp)
    is_lost = before is not None and before.id not in ("", ref.id)
    if is_lost:
        _forget_ledger(run)
    with run.transaction() as transaction:
        transaction.save_audience(run.name, ref, digest)
    if is_lost:
        why = "the platform has lost the audience" if is_same else "the destination's settings lead to another audience"
        raise LostAudienceError(f"{why}, so everybody in the segment is sent again")
    return ref


def _is_old(run: RunContext, ref: AudienceRef) -> bool:
    return ref.asked_at is None or run.log.sync_timestamp - ref.asked_at > ESTIMATE_LASTS


def _marker(run: RunContext) -> str:
    """Unique to this bridge and activation, so that nobody else's audience is ever taken for ours."""
    return hashlib.sha256(run.store.key("marker") + run.name.encode()).hexdigest()[:20]


def _forget_ledger(run: RunContext) -> None:
    for chunk in run.store.ledger.fingerprints(run.name):
        with run.transaction() as transaction:
            transaction.drop_members(run.name, [key for key, _ in chunk])


def _hold_removals(run: RunContext, extract: Extract, diff: Diff, difference: Difference) -> int:
    """Hold back removals that look like a broken extract, never those of suppressed people; returns how many."""
    removal_limit, is_empty = _activation(run).removal_limit, _is_empty(run, extract)
    if difference.removes == difference.suppressed or not (is_empty or difference.removal_share > removal_limit):
        return 0
    held = diff.hold_removes()
    if held:
        why = "the extract is empty" if is_empty else f"they are {difference.removal_share:.0%} of the audience"
        run.log.error = (
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
    if ref.asked_at == run.log.sync_timestamp:
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
        if estimate := _match_estimate(run, ref):
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


def _match_estimate(run: RunContext, ref: AudienceRef) -> MatchEstimate | None:
    """What the platform has said in this run of whom it knows in the audience."""
    if ref.asked_at != run.log.sync_timestamp:
        return None
    told = ref.matched, ref.match_rate
    return MatchEstimate.of(run.name, run.log.sync_timestamp, "audience", run.log.funnel.accepted, told)


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
