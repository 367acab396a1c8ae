"""Routes calls of the Google Ads API: method, permission, answer (google.md 1.2)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.google import ads_lists, ads_search, ads_uploads, oauth
from sandbox.google.access import reaches
from sandbox.google.ads_errors import refuse
from sandbox.google.calls import Call
from sandbox.google.config import ADWORDS
from sandbox.google.errors import ApiError, malformed, not_found
from sandbox.google.processing import settle
from sandbox.google.state import Twin

SERVICE = "googleads.googleapis.com"
VERSIONS = ("v23", "v24", "v25", "v26")
PATH = re.compile(r"/(v\d+)/(customers.*)")


@dataclass(frozen=True)
class Route:
    """One method: its verb and path below the version, its name in the journal, what it does."""

    method: str
    pattern: str
    name: str
    handler: Callable[[Twin, Call], Any]


ROUTES = (
    Route("GET", "customers:listAccessibleCustomers", "/customers:listAccessibleCustomers", ads_search.accessible),
    Route("POST", "customers/([^/:]+)/googleAds:search", "/{customer}/googleAds:search", ads_search.search),
    Route(
        "POST",
        "customers/([^/:]+)/googleAds:searchStream",
        "/{customer}/googleAds:searchStream",
        ads_search.search_stream,
    ),
    Route("POST", "customers/([^/:]+)/userLists:mutate", "/{customer}/userLists:mutate", ads_lists.mutate),
    Route(
        "POST",
        "customers/([^/:]+)/offlineUserDataJobs:create",
        "/{customer}/offlineUserDataJobs:create",
        ads_uploads.create_job,
    ),
    Route(
        "POST",
        "customers/([^/:]+)/offlineUserDataJobs/([^/:]+):addOperations",
        "/{job}:addOperations",
        ads_uploads.add_operations,
    ),
    Route("POST", "customers/([^/:]+)/offlineUserDataJobs/([^/:]+):run", "/{job}:run", ads_uploads.run_job),
    Route("POST", "customers/([^/:]+):uploadUserData", "/{customer}:uploadUserData", ads_uploads.upload),
    Route(
        "POST",
        "customers/([^/:]+):uploadClickConversions",
        "/{customer}:uploadClickConversions",
        ads_uploads.upload_conversions,
    ),
)


def answer(twin: Twin, call: Call, authorization: str) -> tuple[str, Any]:
    """The route of a call and what it answers. Raises ApiError."""
    path = PATH.fullmatch(call.path)
    if path is None:
        raise not_found("Method not found.")
    if path[1] not in VERSIONS:
        refuse("requestError", "UNSUPPORTED_VERSION", "The version of the API is not supported.")
    route, parts = _route(call.method, path[2])
    call.parts, call.token = parts, oauth.authenticate(twin, authorization, SERVICE, ADWORDS)
    if call.method == "POST" and not call.headers.get("content-type", "").startswith("application/json"):
        raise malformed("The request body must be application/json.")
    if parts:
        _enter(twin, call, parts[0])
    settle(twin)
    return f"{route.method} {route.name}", route.handler(twin, call)


def wrapped(call_path: str, error: ApiError) -> Any:
    """The body of a refusal; a stream answers it inside an array too."""
    return [error.envelope()] if call_path.endswith(":searchStream") else error.envelope()


def _enter(twin: Twin, call: Call, customer_id: str) -> None:
    """Raises ApiError when the id is none, or the caller does not reach the account by the login customer."""
    login_id = call.headers.get("login-customer-id") or customer_id
    for number in (customer_id, login_id):
        if not re.fullmatch("[0-9]{10}", number):
            refuse("requestError", "INVALID_CUSTOMER_ID", "A customer id has ten digits and no hyphens.")
    if customer_id not in twin.config.accounts:
        refuse("authorizationError", "USER_PERMISSION_DENIED", "User doesn't have permission to access customer.")
    if not reaches(twin.config, call.token.user, login_id, customer_id):
        message = (
            "User doesn't have permission to access customer. Note: If you're accessing a client customer, the "
            "manager's customer id must be set in the 'login-customer-id' header."
        )
        refuse("authorizationError", "USER_PERMISSION_DENIED", message)


def _route(method: str, path: str) -> tuple[Route, tuple[str, ...]]:
    for route in ROUTES:
        fit = re.fullmatch(route.pattern, path)
        if fit is not None and route.method == method:
            return route, fit.groups()
    raise not_found("Method not found.")
