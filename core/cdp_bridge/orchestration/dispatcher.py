"""Puts orders for the runs that the store has requested on the flow, which takes them to the workers."""

from __future__ import annotations

import time
from collections.abc import Callable

from cdp_bridge.flow import RUNS, Flow, RunOrder
from cdp_bridge.store import Store

SWEEP_SECONDS = 60.0
MAX_ORDERS = 1_000


class Dispatcher:
    """Orders each run of a store once, however many dispatchers share it.

    `clock` gives seconds that only go forward. Nothing is lost with the flow: once a minute everything that waits or
    runs is ordered again, which changes nothing where the order is still there.
    """

    def __init__(self, store: Store, flow: Flow, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._flow, self._clock = store, flow, clock
        self._ordered: set[str] = set()
        self._swept = float("-inf")

    def tick(self) -> int:
        """Order what may start now, at most `MAX_ORDERS` at a time; returns how many orders were new.

        Call it every few seconds. Raises TransientError when store or flow is away; the next call makes up for it.
        """
        now = self._clock()
        is_sweep = now - self._swept >= SWEEP_SECONDS
        wanted = [request.id for request in self._store.requests.ready(MAX_ORDERS)]
        if is_sweep:
            # A worker may have died with a run, and the flow may have lost the order.
            wanted += [request.id for request in self._store.requests.newest(state="running", limit=MAX_ORDERS)]
            self._ordered.clear()
        self._ordered &= set(wanted)
        new = 0
        for request in wanted:
            if request not in self._ordered:
                new += self._flow.publish(RUNS, RunOrder(request=request), id=request)
                self._ordered.add(request)
        if is_sweep:
            self._swept = now
        return new
