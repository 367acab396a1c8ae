"""How much memory a writer keeps of the batches that it has sent."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterable

from ..model import Batch

_FRAMES = 60
"""Calls remembered for each piece of memory: enough to lead from the depth of an HTTP client back to this module."""


def kept(send: Callable[[Batch], object], batches: Iterable[Batch], *, warm: int) -> int:
    """Bytes that are still held after all batches, beyond what was held after the first `warm`.

    Only memory that was asked for under `send`, or for a batch, counts: a twin in this process, which runs in
    threads of its own, may keep what it likes.
    """
    tracemalloc.start(_FRAMES)
    try:
        before = 0
        for number, batch in enumerate(batches, start=1):
            send(batch)
            if number == warm:
                before = _held_here()
        return _held_here() - before
    finally:
        tracemalloc.stop()


def _held_here() -> int:
    gc.collect()
    ours = tracemalloc.Filter(True, __file__, all_frames=True)
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([ours]).traces)
