"""The MUSTs of a destination about a single batch and about many (36, 37, 40)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pytest

from cdp_bridge.delivery.sender import Part
from cdp_bridge.identity import CLEAR
from cdp_bridge.model import AudienceRef, Batch, Operation
from cdp_bridge.testing.harness import IDENTIFYING, DestinationHarness, settled
from cdp_bridge.testing.messages import difference, short
from cdp_bridge.testing.people import key
from cdp_bridge.testing.relay import Fault, Relay
from cdp_bridge.testing.rules.large_batches import identifiers, rows_in_full_batch
from cdp_bridge.testing.rules.memory import retained
from cdp_bridge.testing.rules.verdict import Verdict

OPERATIONS: tuple[Operation, ...] = ("add", "remove")
_NOISE = 16_000
"""Bytes by which memory differs in any case."""
_NOT_DONE = {"503": Fault(status=503), "429": Fault(status=429), "cut": Fault(kind="cut_before")}


class BatchSuite:
    """What every destination does with a batch."""

    @pytest.mark.parametrize("most", ["rows", "bytes"])
    def test_must_36_a_full_batch_is_delivered(
        self, harness: DestinationHarness, most: Literal["rows", "bytes"]
    ) -> None:
        """A batch as full as `Limits` allow, of short members or of long ones, is added, and removed, at once."""
        columns = harness.columns if most == "bytes" else _shortest(harness)
        count = rows_in_full_batch(harness.stream.profile or CLEAR, columns, harness.connector.limits)
        with harness.open() as (writer, _, ref):
            for operation in OPERATIONS:
                held = count if operation == "add" else 0
                batch = _large_batch(harness, ref, operation, columns, range(count))
                try:
                    verdict = Verdict.of(settled(writer, [Part(batch, writer.write(batch))]))
                except Exception as error:
                    pytest.fail(
                        f"{operation}: {count} members in one batch raised {type(error).__name__}; the core sends as "
                        f"much as Limits promise, so promise what the platform takes: {error}"
                    )
                wrong = difference(batch.keys, verdict.accepted, short)
                assert not wrong, f"{operation}, accepted: {wrong}; promise in Limits what the platform takes"
                there = len(harness.twin.members(ref.id))
                assert there == held, f"{operation}: expected {held} members, got {there}; send the whole batch"

    @pytest.mark.parametrize("failure", _NOT_DONE)
    def test_must_37_a_batch_is_sent_once(self, harness: DestinationHarness, wire: Relay, failure: str) -> None:
        """A write that fails has sent one request: whether and when to try again is decided by the core."""
        with harness.open() as (writer, _, ref):
            # Made beforehand: a discover that asks the network has a MUST of its own.
            batches = {operation: harness.batch(ref, operation, range(4)) for operation in OPERATIONS}
            wire.fail(_NOT_DONE[failure], times=None)
            for operation, batch in batches.items():
                before = len(wire.requests)
                with contextlib.suppress(Exception):
                    writer.write(batch)
                sent = len(wire.requests) - before
                assert sent > 0, f"write ({operation}) sent nothing; send each batch before write returns"
                assert sent == 1, f"write ({operation}) sent {sent} requests after {failure}; try once and raise"
            wire.heal()

    def test_must_40_no_batch_is_kept(self, harness: DestinationHarness) -> None:
        """A writer holds no more memory after many batches than after a few."""
        columns = harness.columns[:6]
        size = min(50, rows_in_full_batch(harness.stream.profile or CLEAR, columns, harness.connector.limits))
        count = max(12, min(100, 600 // size))
        few = count // 3
        # In a thread of its own: where the calls of pytest lie below, each piece of memory takes longer to trace.
        with ThreadPoolExecutor(1) as pool:
            grown = pool.submit(_retained, harness, columns, size, count, few).result()
        values = identifiers(harness.stream.profile or CLEAR, columns, range(size)).values()
        sent = sum(len(value) for column in values for some in column for value in some) * (count - few)
        # Digests could be kept in half the space of their digits.
        assert grown < max(sent // 4, _NOISE), (
            f"{grown} bytes are still held of batches with {sent} bytes of identifiers; keep nothing of a batch "
            "once its outcome is known"
        )


def _retained(harness: DestinationHarness, columns: Sequence[str], size: int, count: int, few: int) -> int:
    """What one writer holds after many batches and did not hold after a few."""
    with harness.open() as (writer, sender, ref):
        batches = _batches(harness, ref, columns, size, count)
        return retained(lambda batch: settled(writer, sender.send(batch)), batches, warm=few)


def _shortest(harness: DestinationHarness) -> list[str]:
    """The one column by which members are known."""
    return [next(column for column in IDENTIFYING if column in harness.columns)]


def _large_batch(
    harness: DestinationHarness, ref: AudienceRef, operation: Operation, columns: Sequence[str], numbers: range
) -> Batch:
    keys = [key(number) for number in numbers]
    values = identifiers(harness.stream.profile or CLEAR, columns, numbers)
    return Batch(audience=ref, operation=operation, keys=keys, identifiers=values, total=len(keys))


def _batches(
    harness: DestinationHarness, ref: AudienceRef, columns: Sequence[str], size: int, count: int
) -> Iterator[Batch]:
    """Batches of new people, each followed by their removal, so that the twin does not grow."""
    for number in range(count // 2):
        for operation in OPERATIONS:
            yield _large_batch(harness, ref, operation, columns, range(size * number, size * number + size))
