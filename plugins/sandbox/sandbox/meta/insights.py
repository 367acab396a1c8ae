"""Insights: aggregate results of ads, at once or as a report run, with stable made-up numbers (contract 7)."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sandbox.meta.calls import Call
from sandbox.meta.errors import GraphError, invalid
from sandbox.meta.paging import page
from sandbox.meta.performance import BREAKDOWNS, FIELDS, Query, ads_of, report
from sandbox.meta.state import Twin

LEVELS = ("ad", "adset", "campaign", "account")
OLDEST = timedelta(days=37 * 31)
RUN_LIFE = 30 * 24 * 3600
PRESETS = {
    "today": (0, 0),
    "yesterday": (1, 1),
    "last_7d": (7, 1),
    "last_14d": (14, 1),
    "last_28d": (28, 1),
    "last_30d": (30, 1),
    "last_90d": (90, 1),
    "maximum": (36 * 30, 0),
}
COMBINATIONS = ({"age", "gender"}, {"publisher_platform", "platform_position"}, {"country", "region"})


@dataclass
class Run:
    """One asynchronous report."""

    run_id: str
    account_id: str
    query: Query
    created: float


def sync(twin: Twin, call: Call, node: str) -> dict[str, Any]:
    """`GET /{node}/insights`."""
    return page(twin, call, report(_query(twin, call, node)))


def start(twin: Twin, call: Call, node: str) -> dict[str, Any]:
    """`POST /{node}/insights`: begins a report run."""
    query = _query(twin, call, node)
    run = Run(twin.new_id(6), query.account_id, query, twin.clock.now())
    twin.runs[run.run_id] = run
    return {"report_run_id": run.run_id}


def poll(twin: Twin, call: Call, run: Run) -> dict[str, Any]:
    """`GET /{run}`; a failed run says why in `error_code` and `error_message`."""
    percent = _percent(twin, run)
    done = percent == 100
    outcome = twin.config.insights_outcome
    status = outcome if done else "Job Running" if percent else "Job Not Started"
    answer = {
        "id": run.run_id,
        "account_id": run.account_id,
        "time_ref": int(run.created),
        "time_completed": int(run.created + twin.config.insights_job) if done else 0,
        "async_status": status,
        "async_percent_completion": percent,
    }
    if status == "Job Failed":
        answer |= {"error_code": -2, "error_subcode": 2490547, "error_message": "The report run failed"}
    return answer


def rows(twin: Twin, call: Call, run: Run) -> dict[str, Any]:
    """`GET /{run}/insights`. Raises GraphError 100 before the run is complete."""
    if _percent(twin, run) < 100 or twin.config.insights_outcome != "Job Completed":
        raise invalid("The report run is not complete")
    return page(twin, call, report(run.query))


def expired(twin: Twin, run: Run) -> bool:
    """Whether the run id is no longer known (30 days)."""
    return twin.clock.now() >= run.created + RUN_LIFE


def _percent(twin: Twin, run: Run) -> int:
    seconds = twin.config.insights_job
    return 100 if seconds <= 0 else max(0, min(100, int(100 * (twin.clock.now() - run.created) / seconds)))


def _query(twin: Twin, call: Call, node: str) -> Query:
    account_id, ads = ads_of(twin.config.accounts, node)
    level = call.text("level") or ("account" if node == account_id else "ad")
    if level not in LEVELS:
        raise invalid(f"Param level must be one of {LEVELS}")
    fields = call.fields() or ["account_id", "impressions", "spend"]
    for name in fields:
        if name not in FIELDS:
            raise invalid(f"{name[:60]} is not valid for fields param")
    since, until = _period(twin, call)
    return Query(account_id, ads, level, fields, since, until, _increment(call, since, until), _breakdowns(call))


def _period(twin: Twin, call: Call) -> tuple[date, date]:
    today = datetime.fromtimestamp(twin.clock.now(), UTC).date()
    wanted = call.value("time_range")
    if wanted is None:
        preset = call.text("date_preset") or "last_30d"
        if preset not in PRESETS:
            raise invalid("Param date_preset is not known")
        first, last = PRESETS[preset]
        return today - timedelta(days=first), today - timedelta(days=last)
    try:
        since, until = (date.fromisoformat(wanted[end]) for end in ("since", "until"))
    except (TypeError, KeyError, ValueError):
        raise invalid("Param time_range must hold since and until as YYYY-MM-DD") from None
    if until < since:
        raise invalid("Param time_range: until is before since")
    if since < today - OLDEST:
        raise invalid("Param time_range: the start date cannot be beyond 37 months from now", 3018)
    return since, until


def _increment(call: Call, since: date, until: date) -> int:
    """Days in one row."""
    whole = (until - since).days + 1
    if call.text("time_increment") in (None, "all_days"):
        return whole
    days = call.number("time_increment", whole)
    if not 1 <= days <= 90:
        raise invalid("Param time_increment must be from 1 to 90 or all_days")
    return days


def _breakdowns(call: Call) -> list[str]:
    value = call.params.get("breakdowns")
    names = call.value("breakdowns") if isinstance(value, str) and value.startswith("[") else value
    names = names.split(",") if isinstance(names, str) else names or []
    if not isinstance(names, list) or not set(map(str, names)) <= BREAKDOWNS.keys():
        raise invalid("Param breakdowns holds a name that is not known")
    if len(names) > 1 and not any(set(names) <= combination for combination in COMBINATIONS):
        raise GraphError(2, "These breakdowns cannot be combined", subcode=1504041)
    return names
