"""Counts of runs and requests for metrics."""

from datetime import datetime
from typing import Literal

from cdp_bridge.entities import SyncLog
from cdp_bridge.store import Store

Status = Literal["running", "failed", "waiting"]


def test_runs_are_counted_by_status(store: Store, at: datetime) -> None:
    assert store.counts.runs() == {}
    statuses: tuple[Status, ...] = ("failed", "running", "failed", "waiting")
    with store.transaction() as transaction:
        for number, status in enumerate(statuses):
            transaction.save_run(SyncLog(run_id=str(number), audience="vip", sync_timestamp=at, status=status))
    assert store.counts.runs() == {"failed": 2, "running": 1, "waiting": 1}
    with store.transaction() as transaction:
        for number in range(1, 3):
            transaction.save_run(SyncLog(run_id=str(number), audience="vip", sync_timestamp=at, status="succeeded"))
    assert store.counts.runs() == {"failed": 1, "succeeded": 2, "waiting": 1}


def test_requests_are_counted_by_state(store: Store) -> None:
    first, _, _ = (store.requests.add(name, "anna") for name in ("vip", "cart", "vip"))
    store.requests.cancel(first.id)
    assert store.counts.requests() == {"cancelled": 1, "queued": 2}
    with store.requests.hold("cart") as lease:
        waiting = store.requests.newest("cart")[0]
        store.requests.start(waiting.id, lease)
        store.requests.finish(waiting.id, lease, "succeeded", "run-1")
    assert store.counts.requests() == {"cancelled": 1, "queued": 1, "succeeded": 1}
