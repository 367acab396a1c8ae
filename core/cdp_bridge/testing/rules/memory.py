"""How much memory a writer retains of the batches that it has sent."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterable

from cdp_bridge.model import Batch

_FRAMES = 45
"""Calls remembered for each piece of memory: enough to lead from the depth of an HTTP client back to this module."""


def retained(send: Callable[[Batch], object], batches: Iterable[Batch], *, warm: int) -> int:
    """Bytes that are still held after all batches, beyond what was held after the first `warm`.

    Only memory that was asked for under `send`, or for a batch, counts: a twin in this process, which runs in
    threads of its own, may keep what it likes.
    """
    tracemalloc.start(_FRAMES)
    try:
        snapshots = []
        for number, batch in enumerate(batches, start=1):
            send(batch)
            if number == warm:
                snapshots.append(_snapshot())
        snapshots.append(_snapshot())
    finally:
        tracemalloc.stop()
    # Looked at only now: while memory is traced this would take ten times as long.
    before, after = map(_held_here, snapshots)
    return after - before


def _snapshot() -> tracemalloc.Snapshot:
    gc.collect()
    return tracemalloc.take_snapshot()


def _held_here(snapshot: tracemalloc.Snapshot) -> int:
    return sum(trace.size for trace in snapshot.traces if any(frame.filename == __file__ for frame in trace.traceback))
