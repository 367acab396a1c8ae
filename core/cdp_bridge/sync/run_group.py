"""Runs that read the same: which they are, and how they go on side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from typing import TypeVar

from cdp_bridge.entities import Activation, Sync
from cdp_bridge.sync.reading import ReadTicket, SharedRead

T = TypeVar("T")

MOST = 4
"""Runs that share one read: each has an engine of its own, with the memory that it may use."""


def read_alike(one: Sync, other: Sync) -> bool:
    """Whether both read the same: the people of one segment, or one stream of conversions."""
    return _read_by(one) == _read_by(other)


def groups(syncs: Iterable[Sync]) -> list[list[Sync]]:
    """Those that read alike, together, at most `MOST` of them; in order of the first of each."""
    found: list[list[Sync]] = []
    for one in syncs:
        group = next((group for group in found if read_alike(group[0], one) and len(group) < MOST), None)
        if group is None:
            found.append([one])
        else:
            group.append(one)
    return found


def together(jobs: Sequence[Callable[[ReadTicket], T]], stop: threading.Event) -> list[T]:
    """Do each job, a run on the seat that it gets, in a thread of its own; what they return, once all have ended.

    The first is done in the thread of the caller. What one raises does not keep the others, and is raised at the end.
    Whoever interrupts it (Ctrl-C) sets `stop`, which the jobs should heed; the second time they are waited for no more.
    """
    shared = SharedRead(len(jobs))
    done: list[Future[T]] = [Future() for _ in jobs]

    def do(number: int) -> None:
        ticket = shared.tickets[number]
        try:
            done[number].set_result(jobs[number](ticket))
        # Also what ends the process: whoever asks for the result shall hear of it.
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                stop.set()
            done[number].set_exception(error)
        finally:
            ticket.leave()

    for number in range(1, len(jobs)):
        # A run that hangs must not keep the process from ending.
        threading.Thread(target=do, args=(number,), daemon=True).start()
    do(0)
    try:
        wait(done)
    except KeyboardInterrupt:
        stop.set()
        wait(done)
        raise
    return [one.result() for one in done]


def _read_by(sync: Sync) -> tuple[type[Sync], str, str | None, str | None]:
    segment = sync.segment if isinstance(sync, Activation) else None
    return type(sync), sync.connection, sync.stream, segment
