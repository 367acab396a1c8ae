"""What each reason of Google's APIs means for a run, as a table (google.md 3.6, 4.4, 4.5, 10.4, 11)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from cdp_bridge.sdk import Client, ConfigError, RejectedError, TransientError

if TYPE_CHECKING:
    import requests


Failure = ConfigError | RejectedError | TransientError


class ExpiredError(ConfigError):
    """The access token is not good, or not any more."""


class ProjectError(ConfigError):
    """The Cloud project may not use the API."""


class ScopeError(ConfigError):
    """The access token was not given the scope."""


class AccessError(ConfigError):
    """The caller does not reach the account."""


class GoneError(ConfigError):
    """It does not exist, or not any more."""


class NameTakenError(TransientError):
    """The account has a list of this name, so an earlier try to create it has worked."""


class BusyError(TransientError):
    """Something else at Google writes to the same list."""


class StartedError(ConfigError):
    """The job of the Google Ads API runs already, or has run."""


class MembersError(RejectedError):
    """Google names the members over which it refuses the request: reasons by their position in it."""

    def __init__(self, problem: str, *, reason: str, members: Mapping[int, str]) -> None:
        super().__init__(problem, reason=reason)
        self.members = members


class Rule(NamedTuple):
    """What a reason means: the exception, its words, and what a person should do."""

    error: type[ConfigError | RejectedError | TransientError]
    problem: str
    remedy: str = ""


ACCOUNTS = "Check operating_account, login_account and linked_account"
USER = f"Make the caller a user of the login account (Admin > Access and security). {ACCOUNTS}"
LIST = "Open the list in Google Ads, or delete it: the bridge then makes another one"
UPDATE = "Update the connector: it does not speak to this API as Google wants it"

BUSY = Rule(TransientError, "Google is temporarily unable to answer")
LIMIT = Rule(TransientError, "Google's rate limit is reached")
BAD_REQUEST = Rule(RejectedError, "Google refuses the request")
BAD_MEMBER = Rule(RejectedError, "Google refuses members or events of the request")
TOO_MUCH = Rule(RejectedError, "the request is too large for Google")
FORGOTTEN = Rule(RejectedError, "Google does not know (any more) what became of this request")
NO_TOKEN = Rule(ExpiredError, "the access token is not valid any more", "Connect the account again, or set credentials")
NO_ACCESS = Rule(AccessError, "the caller does not reach this account", USER)
NO_PROJECT = Rule(ProjectError, "the quota project may not be used", "Check quota_project, and the caller's role in it")
NOT_THERE = Rule(GoneError, "it does not exist at Google", f"{ACCOUNTS}, and base_url")
BAD_DESTINATION = Rule(ConfigError, "Google does not take this path to the account", ACCOUNTS)
BAD_LIST = Rule(ConfigError, "the user list is gone, closed or of another kind", LIST)
READ_ONLY = Rule(ConfigError, "the user list may not be changed by this caller", LIST)
BAD_FIELD = Rule(ConfigError, "Google does not take a field of the user list", "Check name and membership_days")
MISUNDERSTOOD = Rule(ConfigError, "Google does not understand the request", UPDATE)
NOT_SIGNED = Rule(
    ConfigError,
    "the terms of Customer Match were not accepted",
    "Accept them in Google Ads (Tools > Audience manager), then set customer_match_terms to true",
)
NOT_ALLOWED = Rule(
    ConfigError,
    "Customer Match by upload is not open to this caller and account",
    "See support.google.com/adspolicy/answer/6299717; with the Google Ads API, set api to data-manager",
)
BAD_ACTION = Rule(
    ConfigError,
    "the account has no such conversion action, or it takes no uploads",
    "Check conversion_actions: numbers of actions of this account that import conversions",
)
NOT_ENHANCED = Rule(
    ConfigError,
    "the account does not take conversions of hashed people",
    "In Google Ads, accept the customer data terms and turn on enhanced conversions for leads (Goals > Settings)",
)
NAME_TAKEN = Rule(NameTakenError, "a user list of this name is being made")
UNKNOWN = Rule(RejectedError, "Google refuses the request for a reason that is not in its documentation")

RULES: dict[str, Rule] = {
    **dict.fromkeys(["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "INTERNAL_ERROR", "UNKNOWN", "ABORTED"], BUSY),
    **dict.fromkeys(["RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED", "RESOURCE_TEMPORARILY_EXHAUSTED"], LIMIT),
    "TRANSIENT_ERROR": BUSY,
    "CONCURRENT_MODIFICATION": Rule(BusyError, "somebody else writes to the user list at the same time"),
    "UNAUTHENTICATED": NO_TOKEN,
    "SERVICE_DISABLED": Rule(
        ProjectError,
        "the API is not enabled in the Cloud project",
        "Enable the Data Manager API (or the Google Ads API) at console.cloud.google.com/apis",
    ),
    "USER_PROJECT_DENIED": NO_PROJECT,
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": Rule(
        ScopeError,
        "the access token lacks a scope",
        "Connect the account again and agree to all that is asked for: datamanager, and adwords for the Google Ads API",
    ),
    **dict.fromkeys(["PERMISSION_DENIED", "USER_PERMISSION_DENIED", "CUSTOMER_NOT_FOUND"], NO_ACCESS),
    **dict.fromkeys(
        ["CUSTOMER_NOT_ENABLED", "INVALID_CUSTOMER_ID", "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION"], NO_ACCESS
    ),
    **dict.fromkeys(["NOT_FOUND", "RESOURCE_NOT_FOUND"], NOT_THERE),
    **dict.fromkeys(
        [
            *("INVALID_DESTINATION", "DUPLICATE_DESTINATION_REFERENCE", "DESTINATION_ACCOUNT_TYPE_MISMATCH"),
            *("OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH", "UNSUPPORTED_OPERATING_ACCOUNT_FOR_DATA_PARTNER"),
            *("LINKED_ACCOUNT_ONLY_ALLOWED_WITH_DATA_PARTNER_LOGIN_ACCOUNT", "INVALID_NUMBER_FORMAT"),
            *("UNSUPPORTED_LINKED_ACCOUNT_FOR_DATA_PARTNER", "INVALID_RESOURCE_NAME"),
            "DIFFERENT_LOGIN_ACCOUNTS_NOT_ALLOWED_FOR_DATA_PARTNER",
        ],
        BAD_DESTINATION,
    ),
    **dict.fromkeys(["INVALID_USER_LIST_ID", "INVALID_USER_LIST_TYPE"], BAD_LIST),
    **dict.fromkeys(
        [
            *("DATA_PARTNER_USER_LIST_MUTATE_NOT_ALLOWED", "OWNERSHIP_REQUIRED_FOR_UPDATE"),
            "USER_LIST_MUTATION_NOT_SUPPORTED",
        ],
        READ_ONLY,
    ),
    **dict.fromkeys(["TERMS_AND_CONDITIONS_NOT_SIGNED", "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS"], NOT_SIGNED),
    "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED": Rule(
        ConfigError,
        "the account has not declared whether it runs political ads in the EU",
        "Make the declaration in the account's settings in Google Ads",
    ),
    **dict.fromkeys(
        [
            *("NOT_ALLOWLISTED", "ADVERTISER_NOT_ALLOWLISTED_FOR_UPLOADED_DATA"),
            *("CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE", "ADVERTISER_NOT_ON_ALLOWLIST_FOR_USING_UPLOADED_DATA"),
        ],
        NOT_ALLOWED,
    ),
    "JOB_ALREADY_STARTED": Rule(StartedError, "the job was started already", "Run again"),
    **dict.fromkeys(["DISPLAY_NAME_ALREADY_USED", "ALREADY_EXISTS"], NAME_TAKEN),
    **dict.fromkeys(
        [
            *("INVALID_DISPLAY_NAME", "INVALID_DESCRIPTION", "USER_LIST_NAME_RESERVED", "MEMBERSHIP_DURATION_TOO_LONG"),
            *("IMMUTABLE_FIELD_FOR_UPDATE", "UNSUPPORTED_USER_LIST_UPLOAD_KEY_TYPES"),
            "UNSUPPORTED_INGESTED_USER_LIST_INFO_CONFIG",
        ],
        BAD_FIELD,
    ),
    **dict.fromkeys(
        [
            *("INVALID_UPDATE_MASK", "INVALID_PAGE_TOKEN", "INVALID_FILTER", "UNSUPPORTED_VERSION"),
            *("MULTIPLE_DATA_TYPES_NOT_ALLOWED", "CONFLICTING_OPERATION", "INVALID_OPERATION_ORDER"),
        ],
        MISUNDERSTOOD,
    ),
    **dict.fromkeys(
        [
            *("REQUIRED_FIELD_MISSING", "INVALID_FORMAT", "INVALID_ENUM_VALUE", "FIELD_VALUE_TOO_LONG"),
            *("FIELD_VALUE_TOO_SHORT", "TOO_MANY_ELEMENTS", "TOO_FEW_ELEMENTS", "INVALID_HEX_ENCODING"),
            *("INVALID_BASE64_ENCODING", "INVALID_SHA256_FORMAT", "INVALID_MOBILE_ID_FORMAT", "INVALID_POSTAL_CODE"),
            *("INVALID_REGION_CODE", "INVALID_COUNTRY_CODE", "INVALID_AUDIENCE_MEMBER", "TOO_MANY_USER_IDENTIFIERS"),
            *("INVALID_EVENT", "NO_IDENTIFIERS_PROVIDED", "EVENT_TIME_INVALID", "INVALID_CURRENCY_CODE"),
            *("INVALID_AD_IDENTIFIER_FOR_ACCOUNT", "EVENT_SOURCE_AND_DESTINATION_MISMATCH"),
        ],
        BAD_MEMBER,
    ),
    **dict.fromkeys(["INVALID_CONVERSION_ACTION_ID", "INVALID_CONVERSION_ACTION_TYPE"], BAD_ACTION),
    "CONVERSION_ACTION_TOO_RECENTLY_CREATED": Rule(
        ConfigError, "the conversion action was made a short time ago", "Run again some hours after it was made"
    ),
    **dict.fromkeys(
        [
            "DESTINATION_ACCOUNT_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS",
            "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED",
        ],
        NOT_ENHANCED,
    ),
    **dict.fromkeys(
        ["TOO_MANY_EVENTS", "TOO_MANY_AUDIENCE_MEMBERS", "TOO_MANY_DESTINATIONS", "TOO_MANY_MUTATE_OPERATIONS"],
        TOO_MUCH,
    ),
    **dict.fromkeys(["INVALID_REQUEST_ID", "REQUEST_TOO_OLD"], FORGOTTEN),
    **dict.fromkeys(["INVALID_ARGUMENT", "FAILED_PRECONDITION"], BAD_REQUEST),
}
GENERAL = ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "PERMISSION_DENIED")
"""What says less than any other reason in the same answer."""
BY_STATUS = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
}
FRONT_END = "Invalid JSON payload received"
"""How Google's front end begins, which refuses what the service never sees (google.md 4.4)."""
MEMBER = re.compile(r"\b(?:audience_?members|events)\[(\d+)\]", re.IGNORECASE)
DURATION = re.compile(r"(\d+(?:\.\d+)?)s")


class _Violation(msgspec.Struct, frozen=True):
    """One thing that is wrong: why, and which member it concerns (None: none)."""

    reason: str
    member: int | None = None


class _Answer(NamedTuple):
    """What an error says: reasons, the most telling first; violations; the wait asked for; the request's id."""

    reasons: list[str]
    violations: list[_Violation]
    wait: float | None
    request: str
    is_front_end: bool


def interpret(response: requests.Response) -> Failure | None:
    """The error that an answer means, None for a success; the status decides where the body says nothing."""
    if response.status_code == 413:
        return RejectedError(TOO_MUCH.problem, reason="http:413")
    try:
        body = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, RecursionError):
        return _page_instead_of_json(response)
    # The stream of the Google Ads API wraps an error in a list (google.md 12).
    first = body[0] if isinstance(body, list) and body else body
    # The Google Ads API says 200 also when it takes a part only (google.md 10.4).
    error = (first.get("error") or first.get("partialFailureError")) if isinstance(first, dict) else None
    if error is None and response.status_code < 300:
        return None
    return _meaning(read(error if isinstance(error, dict) else {}), response)


def read(error: Mapping[str, Any]) -> _Answer:
    """What is to be known of a `google.rpc.Status` in JSON, whatever its details are."""
    reasons, violations, wait, request = [], [], None, ""
    found = error.get("details")
    details = [detail for detail in found if isinstance(detail, dict)] if isinstance(found, list) else []
    for detail in details:
        violations += [*_violations(detail), *_ads_errors(detail)]
        reasons += [str(detail["reason"])] if isinstance(detail.get("reason"), str) else []
        request = str(detail.get("requestId") or request)
        wait = _seconds(detail.get("retryDelay")) or wait
    wait = wait or next(filter(None, map(_retry_delay, details)), None)
    message, status = str(error.get("message", "")), str(error.get("status", ""))
    reasons = [*(one.reason for one in violations if one.reason), *reasons, status]
    return _Answer(reasons, violations, wait, request, message.startswith(FRONT_END))


def _violations(detail: Mapping[str, Any]) -> Iterator[_Violation]:
    """Of a BadRequest; the field names the member, in more than one spelling (google.md 4.4)."""
    for one in _dicts(detail.get("fieldViolations")):
        places = MEMBER.findall(str(one.get("field", "")))
        yield _Violation(str(one.get("reason", "")), int(places[-1]) if places else None)


def _ads_errors(detail: Mapping[str, Any]) -> Iterator[_Violation]:
    """Of a GoogleAdsFailure (google.md 10.4)."""
    for one in _dicts(detail.get("errors")):
        code, location = one.get("errorCode"), one.get("location")
        reason = next(iter(code.values()), "") if isinstance(code, dict) else ""
        path = _dicts(location.get("fieldPathElements")) if isinstance(location, dict) else []
        indexes = [element.get("index") for element in path if element.get("fieldName") == "operations"]
        index = indexes[0] if indexes and str(indexes[0]).isdecimal() else None
        yield _Violation(str(reason), None if index is None else int(index))


def _retry_delay(detail: Mapping[str, Any]) -> float | None:
    """What the Google Ads API asks for, inside its errors."""
    for one in _dicts(detail.get("errors")):
        about = one.get("details")
        quota = about.get("quotaErrorDetails") if isinstance(about, dict) else None
        if isinstance(quota, dict) and (wait := _seconds(quota.get("retryDelay"))):
            return wait
    return None


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _seconds(duration: Any) -> float | None:
    found = DURATION.fullmatch(duration) if isinstance(duration, str) else None
    return float(found[1]) if found else None


def _page_instead_of_json(response: requests.Response) -> Failure | None:
    if response.status_code == 401:
        return _meaning(read({}), response)
    if response.status_code < 300:
        return TransientError(f"Google answered {response.status_code} with a page instead of JSON")
    return Client.by_status(response)


def _meaning(answer: _Answer, response: requests.Response) -> Failure:
    reason, rule = _rule(answer, response.status_code)
    # Descriptions may quote the request, so only our words, a reason that we know and the request's id go on.
    request = re.sub(r"[^\w-]", "", answer.request)[:60]
    problem = f"{rule.problem} (Google's error {reason}{f', request {request}' if request else ''})"
    kind = rule.error
    if rule in (BAD_MEMBER, BAD_REQUEST) and (members := _blamed(answer)):
        return MembersError(problem, reason=f"google:{reason}", members=members)
    if rule is BAD_MEMBER:
        return ConfigError(problem, place=_place(response), remedy=UPDATE)
    if issubclass(kind, ConfigError):
        return kind(problem, place=_place(response), remedy=rule.remedy)
    if issubclass(kind, RejectedError):
        return kind(problem, reason=f"google:{reason}")
    return kind(problem, retry_after=answer.wait or Client.retry_after(response))


def _rule(answer: _Answer, status: int) -> tuple[str, Rule]:
    """The reason that says most, and its rule; one that stops the run goes before one that costs members."""
    if answer.is_front_end:
        return "INVALID_ARGUMENT", MISUNDERSTOOD
    if status == 401:
        return "UNAUTHENTICATED", NO_TOKEN
    known = [reason for reason in answer.reasons if reason in RULES]
    known.sort(key=lambda reason: (reason in GENERAL, not issubclass(RULES[reason].error, ConfigError)))
    if known and not (status >= 500 and known[0] in GENERAL):
        return known[0], RULES[known[0]]
    if status >= 500:
        return str(status), BUSY
    reason = BY_STATUS.get(status, str(status))
    return reason, RULES.get(reason, UNKNOWN)


def _blamed(answer: _Answer) -> dict[int, str]:
    """Reasons by member, where each violation names one: what concerns the request would stay without them."""
    if any(one.member is None for one in answer.violations):
        return {}
    return {one.member: f"google:{_known(one.reason)}" for one in answer.violations if one.member is not None}


def _known(reason: str) -> str:
    return reason if reason in RULES else "unknown"


def _place(response: requests.Response) -> str:
    return response.request.path_url.partition("?")[0]
