"""Records the end of a run and schedules the next attempt that the retry policy allows."""

from __future__ import annotations

from datetime import datetime, timedelta

from cdp_bridge.entities import Retry, RunRequest
from cdp_bridge.schedule.interval import duration
from cdp_bridge.store import Lease, Store
from cdp_bridge.store.runs.requests import End

MAX_DELAY = timedelta(days=1)


def finish(
    store: Store, request: RunRequest, lease: Lease, state: End, run_id: str | None = None, *, now: datetime
) -> RunRequest | None:
    """Record the end of a run; after a failure returns the next attempt, if the policy allows one.

    Raises LeaseLostError: then another worker has taken over, and the end is not recorded.
    """
    retry_at = None
    if state == "failed":
        retry_at = _retry_at(_policy(store, request.audience), request.attempt, now)
    return store.requests.finish(request.id, lease, state, run_id, retry_at)


def _policy(store: Store, audience: str) -> Retry:
    policies = [standing.schedule.retry for standing in store.schedules.all() if standing.audience == audience]
    return policies[0] if policies else Retry(attempts=1)


def _retry_at(policy: Retry, attempt: int, now: datetime) -> datetime | None:
    if attempt >= policy.attempts:
        return None
    first = duration(policy.wait)
    return now + min(first * (1 << (attempt - 1)), max(first, MAX_DELAY))
