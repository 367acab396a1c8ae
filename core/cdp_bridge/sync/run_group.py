"""Runs that read the same: which they are, and how they are carried out side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from typing import TypeVar

from cdp_bridge.entities import Activation, Sync
from cdp_bridge.sync.reading import ReadTicket, SharedRead

T = TypeVar("T")

MAX_RUNS = 4
"""How many runs share one read: each has an engine of its own, with the memory that it may use."""


def read_alike(first: Sync, second: Sync) -> bool:
    """Whether both read the same: the people of one segment, or one stream of conversions."""
    return _read_by(first) == _read_by(second)


def groups(syncs: Iterable[Sync]) -> list[list[Sync]]:
    """Those that read alike in one list, at most `MAX_RUNS` of them; in order of the first of each."""
    grouped: list[list[Sync]] = []
    for sync in syncs:
        group = next((group for group in grouped if read_alike(group[0], sync) and len(group) < MAX_RUNS), None)
        if group is None:
            grouped.append([sync])
        else:
            group.append(sync)
    return grouped


def run_group(jobs: Sequence[Callable[[ReadTicket], T]], stop: threading.Event) -> list[T]:
    """Do each job, a run with the ticket that it gets, in a thread of its own; what they return, once all have ended.

    The first is done in the thread of the caller. What one raises does not end the others, and is raised at the end.
    Whoever interrupts it (Ctrl-C) sets `stop`, which the jobs should heed; the second time they are waited for no more.
    """
    shared = SharedRead(len(jobs))
    done: list[Future[T]] = [Future() for _ in jobs]

    def do(number: int) -> None:
        ticket = shared.tickets[number]
        try:
            done[number].set_result(jobs[number](ticket))
        # Also what ends the process: it is raised where the result is asked for.
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
    return [job.result() for job in done]


def _read_by(sync: Sync) -> tuple[type[Sync], str, str | None, str | None]:
    segment = sync.segment if isinstance(sync, Activation) else None
    return type(sync), sync.connection, sync.stream, segment
