"""The rows of every resource that the Google Ads API twin serves, by field (google.md 12)."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from sandbox.google import gaql
from sandbox.google.access import parents
from sandbox.google.ads_errors import refuse
from sandbox.google.config import Account
from sandbox.google.processing import shown_size
from sandbox.google.state import Job, Twin, UserList

DAY = 86_400
KEY_TYPES = {"CONTACT_ID": "CONTACT_INFO", "USER_ID": "CRM_ID", "MOBILE_ID": "MOBILE_ADVERTISING_ID"}
RANGES = (
    (500, "LESS_THAN_FIVE_HUNDRED"),
    (1_000, "LESS_THAN_ONE_THOUSAND"),
    (10_000, "ONE_THOUSAND_TO_TEN_THOUSAND"),
    (50_000, "TEN_THOUSAND_TO_FIFTY_THOUSAND"),
    (100_000, "FIFTY_THOUSAND_TO_ONE_HUNDRED_THOUSAND"),
    (300_000, "ONE_HUNDRED_THOUSAND_TO_THREE_HUNDRED_THOUSAND"),
    (500_000, "THREE_HUNDRED_THOUSAND_TO_FIVE_HUNDRED_THOUSAND"),
    (1_000_000, "FIVE_HUNDRED_THOUSAND_TO_ONE_MILLION"),
)
CUSTOMER = ("resource_name", "id", "descriptive_name", "currency_code", "time_zone", "manager", "status")
FIELDS: dict[str, tuple[str, ...]] = {
    "customer": CUSTOMER,
    "customer_client": (*CUSTOMER, "client_customer", "level"),
    "user_list": (
        *("resource_name", "id", "name", "description", "integration_code", "membership_life_span", "type"),
        *("membership_status", "size_for_search", "size_for_display", "size_range_for_search", "closing_reason"),
        *("size_range_for_display", "match_rate_percentage", "eligible_for_search", "eligible_for_display"),
        *("access_reason", "read_only", "crm_based_user_list.upload_key_type", "crm_based_user_list.data_source_type"),
    ),
    "offline_user_data_job": (
        *("resource_name", "id", "type", "status", "failure_reason", "operation_metadata.match_rate_range"),
        "customer_match_user_list_metadata.user_list",
    ),
    "conversion_action": ("resource_name", "id", "name", "type", "status"),
    "campaign": ("resource_name", "id", "name", "status", "advertising_channel_type"),
    "ad_group_audience_view": ("resource_name",),
}
ALSO = {"ad_group_audience_view": ("campaign.id", "ad_group.id", "ad_group_criterion.user_list.user_list")}
"""Fields of other resources that can be asked beside a resource's own."""

PERFORMANCE = ("campaign", "ad_group_audience_view")
COUNTS = ("impressions", "clicks", "interactions", "engagements", "video_trueview_views", "view_through_conversions")
METRICS = (*COUNTS, "cost_micros", "conversions", "conversions_value", "ctr")
KEPT_MONTHS = 37
CAMPAIGNS = ((111, "Brand"), (222, "Prospecting"))

Found = dict[str, Any]


def rows(twin: Twin, customer_id: str, query: gaql.Query) -> list[Found]:
    """The rows of a query by field, filtered, ordered and cut. Raises ApiError with `queryError`."""
    account = twin.config.accounts[customer_id]
    _check(query, account)
    plain = tuple(each for each in query.conditions if each.field != "segments.date")
    if query.resource in PERFORMANCE:
        made = list(_performance(twin, customer_id, query))
    else:
        made = list(_TABLES[query.resource](twin, customer_id))
    about = {f"customer.{name}": value for name, value in _customer(customer_id, account).items()}
    found = [row for row in (about | each for each in made) if all(c.fits(row.get(c.field)) for c in plain)]
    for name, descending in reversed(query.order):
        found.sort(key=partial(_ordinal, name), reverse=descending)
    return found[: query.limit]


def _ordinal(name: str, row: Found) -> tuple[float, str]:
    return gaql.key(gaql.text(row.get(name)))


def _check(query: gaql.Query, account: Account) -> None:
    own = FIELDS.get(query.resource)
    if own is None:
        refuse("queryError", "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE", "Error in query: no such resource.")
    known = {f"{query.resource}.{name}" for name in own} | {f"customer.{name}" for name in CUSTOMER}
    known |= set(ALSO.get(query.resource, ()))
    if query.resource in PERFORMANCE:
        known |= {f"metrics.{name}" for name in METRICS} | {"segments.date", "segments.ad_network_type"}
    for name in sorted(query.names()):
        if name not in known:
            refuse("queryError", "UNRECOGNIZED_FIELD", f"Unrecognized field in the query: '{name[:80]}'.")
    if account.is_manager and any(name.startswith("metrics.") for name in query.fields):
        refuse("queryError", "REQUESTED_METRICS_FOR_MANAGER", "Metrics cannot be requested for a manager account.")


def _customer(customer_id: str, account: Account) -> Found:
    about = {"resource_name": f"customers/{customer_id}", "id": customer_id, "descriptive_name": account.name}
    about |= {"currency_code": account.currency, "time_zone": account.time_zone}
    return about | {"manager": account.is_manager, "status": "ENABLED"}


def _customers(twin: Twin, customer_id: str) -> Iterator[Found]:
    yield {}


def _clients(twin: Twin, customer_id: str) -> Iterator[Found]:
    for number, account in twin.config.accounts.items():
        above = [number, *parents(twin.config, number)]
        if customer_id in above:
            about = _customer(number, account) | {"client_customer": f"customers/{number}"}
            about |= {"resource_name": f"customers/{customer_id}/customerClients/{number}"}
            about["level"] = str(above.index(customer_id))
            yield {f"customer_client.{name}": value for name, value in about.items()}


def _lists(twin: Twin, customer_id: str) -> Iterator[Found]:
    for user_list in twin.live_lists(customer_id):
        about = _list(twin, user_list)
        yield {f"user_list.{name}": value for name, value in about.items()}


def _list(twin: Twin, user_list: UserList) -> Found:
    fields = user_list.fields
    size, rate = shown_size(twin, user_list)
    about: Found = {"resource_name": f"customers/{user_list.account_id}/userLists/{user_list.list_id}"}
    about |= {"id": user_list.list_id, "name": fields["displayName"], "type": "CRM_BASED", "access_reason": "OWNED"}
    about |= {"description": fields.get("description"), "integration_code": fields.get("integrationCode")}
    about |= {"membership_life_span": str(int(user_list.duration // DAY)), "read_only": False}
    about |= {"membership_status": fields["membershipStatus"], "match_rate_percentage": rate}
    about |= {"eligible_for_search": True, "eligible_for_display": True}
    for network in ("search", "display"):
        about[f"size_for_{network}"] = None if size is None else str(size)
        about[f"size_range_for_{network}"] = None if size is None else _range(size)
    info = next((each for each in fields["ingestedUserListInfo"].values() if isinstance(each, dict)), {})
    source = info.get("dataSourceType", "DATA_SOURCE_TYPE_FIRST_PARTY").removeprefix("DATA_SOURCE_TYPE_")
    about["crm_based_user_list.upload_key_type"] = KEY_TYPES.get(user_list.key_type)
    return about | {"crm_based_user_list.data_source_type": source}


def _range(size: int) -> str:
    return next((name for below, name in RANGES if size < below), "ONE_MILLION_TO_TWO_MILLION")


def _jobs(twin: Twin, customer_id: str) -> Iterator[Found]:
    for job in twin.jobs.values():
        if job.user_list.account_id == customer_id:
            about: Found = {"resource_name": f"customers/{customer_id}/offlineUserDataJobs/{job.job_id}"}
            about |= {"id": job.job_id, "type": "CUSTOMER_MATCH_USER_LIST", "status": job_status(job)}
            name = f"customers/{customer_id}/userLists/{job.user_list.list_id}"
            about |= {"customer_match_user_list_metadata.user_list": name}
            about |= {"operation_metadata.match_rate_range": _job_range(job)}
            yield {f"offline_user_data_job.{name}": value for name, value in about.items()}


def job_status(job: Job) -> str:
    """PENDING until it runs, RUNNING, then how it ended."""
    if job.started is None:
        return "PENDING"
    if job.started.outcome is None:
        return "RUNNING"
    return "FAILED" if job.started.outcome[0]["requestStatus"] == "FAILED" else "SUCCESS"


def _job_range(job: Job) -> str | None:
    outcome = job.started.outcome if job.started is not None else None
    if not outcome:
        return None
    counts = outcome[0].get("audienceMembersIngestionStatus", {}).get("userDataIngestionStatus", {})
    shown = str(counts.get("uploadMatchRateRange", "")).removeprefix("MATCH_RATE_RANGE_")
    return shown if shown and shown != "NOT_ELIGIBLE" else None


def _actions(twin: Twin, customer_id: str) -> Iterator[Found]:
    for number, action in twin.config.conversion_actions.items():
        if action.account == customer_id:
            about = {"resource_name": f"customers/{customer_id}/conversionActions/{number}", "id": number}
            about |= {"name": action.name, "type": action.type, "status": "ENABLED"}
            yield {f"conversion_action.{name}": value for name, value in about.items()}


_TABLES = {
    "customer": _customers,
    "customer_client": _clients,
    "user_list": _lists,
    "offline_user_data_job": _jobs,
    "conversion_action": _actions,
}


def _performance(twin: Twin, customer_id: str, query: gaql.Query) -> Iterator[Found]:
    """Made up but stable numbers, one row for each campaign (and list) and, when asked for, each day."""
    today = datetime.fromtimestamp(twin.clock.now(), UTC).date()
    span = _span(query, today)
    dates = [span[0] + timedelta(days=n) for n in range((span[1] - span[0]).days + 1)]
    for about in _subjects(twin, customer_id, query.resource):
        for chosen in [[day] for day in dates] if "segments.date" in query.names() else [dates]:
            row = (
                about | {"segments.date": chosen[0].isoformat(), "segments.ad_network_type": "SEARCH"}
                if chosen
                else about
            )
            yield row | _metrics([_drawn(about, day) for day in chosen])


def _span(query: gaql.Query, today: date) -> tuple[date, date]:
    found = gaql.bounds(tuple(each for each in query.conditions if each.field == "segments.date"), today)
    if found is None:
        if "segments.date" in query.names():
            message = "A date segment needs a filter on a finite range of dates."
            refuse("queryError", "EXPECTED_FILTERS_ON_DATE_RANGE", message)
        return today - timedelta(days=29), today
    if (today - found[0]).days > KEPT_MONTHS * 31:
        message = "Data of this granularity is kept for 37 months."
        refuse("dateRangeError", "REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED", message)
    return found[0], min(found[1], today)


def _subjects(twin: Twin, customer_id: str, resource: str) -> Iterator[Found]:
    for number, name in CAMPAIGNS:
        campaign: Found = {"campaign.id": str(number)}
        if resource == "campaign":
            campaign |= {"campaign.resource_name": f"customers/{customer_id}/campaigns/{number}"}
            campaign |= {"campaign.name": name, "campaign.status": "ENABLED"}
            yield campaign | {"campaign.advertising_channel_type": "SEARCH"}
            continue
        for user_list in twin.live_lists(customer_id):
            about = campaign | {"ad_group.id": str(number * 10)}
            about["ad_group_criterion.user_list.user_list"] = f"customers/{customer_id}/userLists/{user_list.list_id}"
            view = f"customers/{customer_id}/adGroupAudienceViews/{number * 10}~{user_list.list_id}"
            yield about | {"ad_group_audience_view.resource_name": view}


def _drawn(about: Found, day: date) -> int:
    """The impressions of a day."""
    text = f"{sorted(about.items())} {day}"
    return 500 + int.from_bytes(hashlib.sha256(text.encode()).digest()[:2], "big") % 1_000


def _metrics(impressions: list[int]) -> Found:
    shown = sum(impressions)
    clicks = sum(each // 40 for each in impressions)
    made: Found = {"impressions": str(shown), "clicks": str(clicks), "interactions": str(clicks), "engagements": "0"}
    made |= {"video_trueview_views": "0", "view_through_conversions": "0", "cost_micros": str(clicks * 240_000)}
    made |= {"conversions": clicks / 16, "conversions_value": clicks * 3.5, "ctr": clicks / max(1, shown)}
    return {f"metrics.{name}": value for name, value in made.items()}
