"""Budgets of calls and scores in sliding windows, and their usage headers (contract 2)."""

import json
import math
from collections import deque

from sandbox.meta.config import Account, App
from sandbox.meta.errors import GraphError

HOUR = 3600.0
CALLS = {
    "custom_audience": {"development_access": 5_000, "standard_access": 190_000},
    "ads_management": {"development_access": 300, "standard_access": 100_000},
    "ads_insights": {"development_access": 600, "standard_access": 190_000},
}
CALLS_CEILING = 700_000
CODES = {"custom_audience": 80003, "ads_management": 80004, "ads_insights": 80000}
SCORES = {"development_access": (60, 300.0), "standard_access": (9_000, 60.0)}
SCORE_DECAY = 300.0


class Window:
    """The costs of the last `seconds` seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.entries: deque[tuple[float, int]] = deque()
        self.sum = 0

    def used(self, now: float) -> int:
        """The sum of all costs inside the window."""
        while self.entries and self.entries[0][0] <= now - self.seconds:
            self.sum -= self.entries.popleft()[1]
        return self.sum

    def add(self, now: float, cost: int = 1) -> None:
        """Count one cost at `now`."""
        self.entries.append((now, cost))
        self.sum += cost

    def free_in(self, now: float, limit: int) -> float:
        """Seconds until one more call of cost 1 fits under `limit`; 0 when it does now."""
        excess = self.used(now) + 1 - limit
        for at, cost in self.entries:
            if excess <= 0:
                return max(0.0, at + self.seconds - now)
            excess -= cost
            if excess <= 0:
                return at + self.seconds - now
        return 0.0 if excess <= 0 else self.seconds


class AppBudget:
    """Calls of the whole app in the last hour; over it, code 4."""

    def __init__(self) -> None:
        self.calls = Window(HOUR)

    def spend(self, now: float, app: App) -> dict[str, str]:
        """Count one call and return the app header; raises GraphError 4 without counting."""
        if self.calls.used(now) >= app.calls_per_hour:
            raise GraphError(4, "(#4) Application request limit reached", transient=True)
        self.calls.add(now)
        percent = 100 * self.calls.sum // max(1, app.calls_per_hour)
        return {"X-App-Usage": json.dumps({"call_count": percent, "total_time": percent, "total_cputime": percent})}


class AccountBudget:
    """Calls and score of one ad account."""

    def __init__(self) -> None:
        self.calls = {use_case: Window(HOUR) for use_case in CALLS}
        self.score = Window(SCORE_DECAY)
        self.blocked_until = 0.0

    def spend(self, now: float, account: Account, use_case: str, audiences: int, write: bool) -> None:
        """Count one call; raises GraphError 80000-80004 over the hourly calls and 17/2446079 over the score."""
        calls = self.calls[use_case]
        if calls.used(now) >= _calls_limit(account, use_case, audiences):
            code = CODES[use_case]
            message = f"(#{code}) There have been too many calls to this ad-account. Wait a bit and try again."
            raise GraphError(code, message, subcode=2446079, transient=True)
        self._spend_score(now, account, 3 if write else 1)
        calls.add(now)

    def _spend_score(self, now: float, account: Account, cost: int) -> None:
        limit, block = _score_limit(account)
        if now >= self.blocked_until and self.score.used(now) + cost > limit:
            self.blocked_until = now + block
        if now < self.blocked_until:
            raise GraphError(17, "(#17) User request limit reached", subcode=2446079, transient=True)
        self.score.add(now, cost)

    def headers(self, now: float, account_id: str, account: Account, use_case: str, audiences: int) -> dict[str, str]:
        """The usage headers of an answer, after the call was counted or refused."""
        limit, calls = _calls_limit(account, use_case, audiences), self.calls[use_case]
        percent = 100 * calls.used(now) // max(1, limit)
        wait = math.ceil(calls.free_in(now, limit) / 60) if percent >= 100 else 0
        usage = {
            "type": use_case,
            "call_count": percent,
            "total_cputime": percent // 2,
            "total_time": percent // 2,
            "estimated_time_to_regain_access": wait,
            "ads_api_access_tier": account.tier,
        }
        percent_of_score = round(100 * self.score.used(now) / max(1, _score_limit(account)[0]), 2)
        reset = math.ceil(max(0.0, self.blocked_until - now)) or int(SCORE_DECAY)
        tier = {"ads_api_access_tier": account.tier}
        account_usage = {"acc_id_util_pct": percent_of_score, "reset_time_duration": reset} | tier
        found = {
            "X-Business-Use-Case-Usage": json.dumps({account_id: [usage]}),
            "X-Ad-Account-Usage": json.dumps(account_usage),
        }
        if use_case == "ads_insights":
            found["X-FB-Ads-Insights-Throttle"] = json.dumps({"app_id_util_pct": 0, "acc_id_util_pct": percent} | tier)
        return found


def _calls_limit(account: Account, use_case: str, audiences: int) -> int:
    if account.calls_per_hour is not None:
        return account.calls_per_hour
    extra = 40 * audiences if use_case == "custom_audience" else 0
    return min(CALLS_CEILING, CALLS[use_case][account.tier] + extra)


def _score_limit(account: Account) -> tuple[int, float]:
    limit, block = SCORES[account.tier]
    return (limit if account.max_score is None else account.max_score), block
