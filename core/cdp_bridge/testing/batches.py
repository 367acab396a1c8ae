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
from cdp_bridge.testing.bench import IDENTIFYING, DestinationBench, settled
from cdp_bridge.testing.crowds import crowd, full
from cdp_bridge.testing.memory import kept
from cdp_bridge.testing.people import key
from cdp_bridge.testing.relay import Fault, Relay
from cdp_bridge.testing.verdict import Verdict

OPERATIONS: tuple[Operation, ...] = ("add", "remove")
_NOISE = 16_000
"""Bytes by which memory differs anyway."""
_NOT_DONE = {"503": Fault(status=503), "429": Fault(status=429), "cut": Fault(kind="cut_before")}


class BatchSuite:
    """What every destination does with a batch."""

    @pytest.mark.parametrize("most", ["rows", "bytes"])
    def test_must_36_a_full_batch_is_delivered(self, bench: DestinationBench, most: Literal["rows", "bytes"]) -> None:
        """As many short members as one batch may have, and as many long ones: added at once, and removed at once."""
        columns = bench.columns if most == "bytes" else _shortest(bench)
        count = full(bench.stream.profile or CLEAR, columns, bench.connector.limits)
        with bench.open() as (writer, _, ref):
            for operation in OPERATIONS:
                held = count if operation == "add" else 0
                batch = _crowd(bench, ref, operation, columns, range(count))
                try:
                    verdict = Verdict.of(settled(writer, [Part(batch, writer.write(batch))]))
                except Exception as error:
                    pytest.fail(
                        f"{operation}: {count} members in one batch raised {type(error).__name__}: {error}. The core "
                        "sends as much as Limits promise; promise what the platform takes"
                    )
                assert len(verdict.accepted) == count, f"{operation}: only {len(verdict.accepted)} of {count} accepted"
                assert len(bench.twin.members(ref.id)) == held, f"not all of {count} members arrived ({operation})"

    @pytest.mark.parametrize("failure", _NOT_DONE)
    def test_must_37_a_batch_is_sent_once(self, bench: DestinationBench, wire: Relay, failure: str) -> None:
        """A write that fails has sent one request: whether and when to try again is the core's decision."""
        with bench.open() as (writer, _, ref):
            # Made beforehand: a discover that asks the network has a MUST of its own.
            batches = {operation: bench.batch(ref, operation, range(4)) for operation in OPERATIONS}
            wire.fail(_NOT_DONE[failure], times=None)
            for operation, batch in batches.items():
                before = len(wire.requests)
                with contextlib.suppress(Exception):
                    writer.write(batch)
                sent = len(wire.requests) - before
                assert sent > 0, f"write ({operation}) sent nothing; send each batch before write returns"
                assert sent == 1, f"write ({operation}) sent {sent} requests after {failure}; try once and raise"
            wire.heal()

    def test_must_40_no_batch_is_kept(self, bench: DestinationBench) -> None:
        """After many batches the writer holds no more memory than after a few."""
        columns = bench.columns[:6]
        size = min(50, full(bench.stream.profile or CLEAR, columns, bench.connector.limits))
        count = max(12, min(100, 600 // size))
        few = count // 3
        # In a thread of its own: where the calls of pytest lie below, each piece of memory takes longer to trace.
        with ThreadPoolExecutor(1) as pool:
            grown = pool.submit(_kept, bench, columns, size, count, few).result()
        values = crowd(bench.stream.profile or CLEAR, columns, range(size)).values()
        sent = sum(len(value) for column in values for some in column for value in some) * (count - few)
        # Digests could be kept in half the space of their digits.
        assert grown < max(sent // 4, _NOISE), (
            f"{grown} bytes are still held of batches with {sent} bytes of identifiers; keep nothing of a batch "
            "once its outcome is known"
        )


def _kept(bench: DestinationBench, columns: Sequence[str], size: int, count: int, few: int) -> int:
    """What one writer holds after many batches and did not hold after a few."""
    with bench.open() as (writer, sender, ref):
        batches = _batches(bench, ref, columns, size, count)
        return kept(lambda batch: settled(writer, sender.send(batch)), batches, warm=few)


def _shortest(bench: DestinationBench) -> list[str]:
    """The one column by which members are known."""
    return [next(column for column in IDENTIFYING if column in bench.columns)]


def _crowd(
    bench: DestinationBench, ref: AudienceRef, operation: Operation, columns: Sequence[str], numbers: range
) -> Batch:
    keys = [key(number) for number in numbers]
    identifiers = crowd(bench.stream.profile or CLEAR, columns, numbers)
    return Batch(audience=ref, operation=operation, keys=keys, identifiers=identifiers, total=len(keys))


def _batches(
    bench: DestinationBench, ref: AudienceRef, columns: Sequence[str], size: int, count: int
) -> Iterator[Batch]:
    """Batches of new people, each followed by their removal, so that the twin does not grow."""
    for number in range(count // 2):
        for operation in OPERATIONS:
            yield _crowd(bench, ref, operation, columns, range(size * number, size * number + size))
