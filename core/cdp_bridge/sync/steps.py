"""The steps that runs of audiences and of conversion feeds share, from the start of the delivery to its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from cdp_bridge.connectors.errors import connector_errors, opened
from cdp_bridge.connectors.handle import ConnectorHandle
from cdp_bridge.connectors.loading import validated
from cdp_bridge.delivery.batches import make_batch
from cdp_bridge.delivery.sender import Sender
from cdp_bridge.delivery.transfer import Recorder, Transfer
from cdp_bridge.errors import BridgeError
from cdp_bridge.model import AudienceRef, Batch, Operation
from cdp_bridge.staging.packing import Row, sent_bytes
from cdp_bridge.sync.context import RunContext, fail
from cdp_bridge.sync.diff import Diff, Difference
from cdp_bridge.sync.extract import Extract, saved_cursor
from cdp_bridge.sync.progress import Preview

SAMPLE_MEMBERS = 2
_BYTES_A_DIGEST = 67

Parts = Iterable[tuple[Operation, Iterator[list[Row]]]]
"""What is sent, operation by operation, in chunks of rows."""


class OpenTransfer(NamedTuple):
    """The destination's writer, ready: `sender` for single calls, `transfer` for deliveries."""

    sender: Sender
    transfer: Transfer


def record_start(run: RunContext, extract: Extract) -> None:
    """Record this run, and the end of earlier ones that were killed: under the lease nobody else is running."""
    goes_on = saved_cursor(run, extract.digest) is not None
    killed = [earlier for earlier in run.store.runs(run.name) if earlier.status == "running"]
    with run.transaction() as transaction:
        for earlier in killed:
            fail(earlier, BridgeError("the run was killed; the next one went on where it ended"))
            transaction.save_run(earlier)
        if not goes_on:
            # What this run sends is about other settings: a cursor from before must not hold again later.
            transaction.delete_cursors(run.name)


@contextmanager
def open_transfer(run: RunContext, extract: Extract) -> Iterator[OpenTransfer]:
    """The open destination, after deliveries that an earlier run left open are settled."""
    destination = run.setup.destination
    recorder = Recorder(audience=run.name, run_id=run.log.run_id, transaction=run.transaction, counts=run.counts)
    with opened(destination.code, destination.settings, destination.connector) as writer:
        sender = Sender(writer, run.setup.limits, run.store, sleep=run.sleep)
        transfer = Transfer(run.store, recorder, sender, extract.stage.columns)
        try:
            transfer.settle(writer, run.store.audience_ref(run.name))
            yield OpenTransfer(sender, transfer)
        finally:
            run.count_deliveries()


def batch_rows(run: RunContext, extract: Extract, diff: Diff) -> int:
    """How many members one request takes, by the platform's limits of rows and bytes."""
    limits = run.setup.limits
    size = sent_bytes(diff.packed_bytes()) or _BYTES_A_DIGEST * len(extract.stage.columns)
    return max(1, min(limits.rows, int(limits.bytes / size)))


def conclude(run: RunContext, transfer: Transfer, accepted: int) -> None:
    """Complete the record; of the extract the platform has taken so many, now or before."""
    log, funnel = run.log, run.log.funnel
    log.errors += log.rejected + transfer.deferred
    funnel.sent = funnel.identifiable - transfer.deferred
    funnel.accepted = accepted
    log.status = "partial" if log.rejected or log.unknown or transfer.deferred else "succeeded"


def previewed(run: RunContext, extract: Extract, difference: Difference, parts: Parts) -> Preview:
    """What the run would do; `parts` are in chunks of `SAMPLE_MEMBERS`."""
    sample = _sample(run, extract, parts)
    return Preview(run.log.funnel, difference.adds, difference.changes, difference.removes, sample)


def _sample(run: RunContext, extract: Extract, parts: Parts) -> Mapping[str, Any] | None:
    ref = run.store.audience_ref(run.name) or AudienceRef(id="(new)", account="")
    for operation, chunks in parts:
        for rows in chunks:
            return _request(run.setup.destination, make_batch(ref, operation, rows, extract.stage.columns, len(rows)))
    return None


def _request(destination: ConnectorHandle, batch: Batch) -> Mapping[str, Any]:
    """The request that the destination would send; the identifiers, if it does not say."""
    if not hasattr(destination.code, "preview"):
        return {"operation": batch.operation, "identifiers": batch.identifiers}
    with connector_errors(destination.connector):
        return validated(dict[str, Any], dict(destination.code.preview(destination.settings, batch)))
