"""What each error reason of Google's APIs means for a run, as a table (google.md 3.6, 4.4, 4.5, 10.4, 11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cdp_bridge.sdk import Client, ConfigError, ErrorRule, ErrorTable, RejectedError, TransientError

from destination_google.error_details import Details, read_details

if TYPE_CHECKING:
    import requests


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


ACCOUNTS = "Check operating_account, login_account and linked_account"
USER = f"Make the caller a user of the login account (Admin > Access and security). {ACCOUNTS}"
LIST = "Open the list in Google Ads, or delete it: the bridge then makes another one"
UPDATE = "Update the connector: it does not speak to this API as Google wants it"

BUSY = ErrorRule(TransientError, "Google is temporarily unable to answer")
LIMIT = ErrorRule(TransientError, "Google's rate limit is reached")
BAD_REQUEST = ErrorRule(RejectedError, "Google refuses the request")
BAD_MEMBER = ErrorRule(ConfigError, "Google refuses members or events of the request", UPDATE)
TOO_LARGE = ErrorRule(RejectedError, "the request is too large for Google")
FORGOTTEN = ErrorRule(RejectedError, "Google does not know (any more) what became of this request")
NO_TOKEN = ErrorRule(
    ConfigError, "the access token is not valid any more", "Connect the account again, or set credentials"
)
NO_ACCESS = ErrorRule(AccessError, "the caller does not reach this account", USER)
NO_PROJECT = ErrorRule(
    ProjectError, "the quota project may not be used", "Check quota_project, and the caller's role in it"
)
NOT_THERE = ErrorRule(GoneError, "it does not exist at Google", f"{ACCOUNTS}, and base_url")
BAD_DESTINATION = ErrorRule(ConfigError, "Google does not take this path to the account", ACCOUNTS)
BAD_LIST = ErrorRule(ConfigError, "the user list is gone, closed or of another kind", LIST)
READ_ONLY = ErrorRule(ConfigError, "the user list may not be changed by this caller", LIST)
BAD_FIELD = ErrorRule(ConfigError, "Google does not take a field of the user list", "Check name and membership_days")
MISUNDERSTOOD = ErrorRule(ConfigError, "Google does not understand the request", UPDATE)
NOT_SIGNED = ErrorRule(
    ConfigError,
    "the terms of Customer Match were not accepted",
    "Accept them in Google Ads (Tools > Audience manager), then set customer_match_terms to true",
)
NOT_ALLOWED = ErrorRule(
    ConfigError,
    "Customer Match by upload is not open to this caller and account",
    "See support.google.com/adspolicy/answer/6299717; with the Google Ads API, set api to data-manager",
)
BAD_ACTION = ErrorRule(
    ConfigError,
    "the account has no such conversion action, or it takes no uploads",
    "Check conversion_actions: numbers of actions of this account that import conversions",
)
NOT_ENHANCED = ErrorRule(
    ConfigError,
    "the account does not take conversions of hashed people",
    "In Google Ads, accept the customer data terms and turn on enhanced conversions for leads (Goals > Settings)",
)
NAME_TAKEN = ErrorRule(NameTakenError, "a user list of this name is being made")

ERRORS = ErrorTable(
    "Google",
    {
        **dict.fromkeys(["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "INTERNAL_ERROR", "UNKNOWN", "ABORTED"], BUSY),
        **dict.fromkeys(["RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED", "RESOURCE_TEMPORARILY_EXHAUSTED"], LIMIT),
        "TRANSIENT_ERROR": BUSY,
        "CONCURRENT_MODIFICATION": ErrorRule(BusyError, "somebody else writes to the user list at the same time"),
        "UNAUTHENTICATED": NO_TOKEN,
        "SERVICE_DISABLED": ErrorRule(
            ProjectError,
            "the API is not enabled in the Cloud project",
            "Enable the Data Manager API (or the Google Ads API) at console.cloud.google.com/apis",
        ),
        "USER_PROJECT_DENIED": NO_PROJECT,
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT": ErrorRule(
            ScopeError,
            "the access token lacks a scope",
            "Connect the account again and agree to all scopes: datamanager, and adwords for the Google Ads API",
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
        "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED": ErrorRule(
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
        "JOB_ALREADY_STARTED": ErrorRule(StartedError, "the job was started already", "Run again"),
        **dict.fromkeys(["DISPLAY_NAME_ALREADY_USED", "ALREADY_EXISTS"], NAME_TAKEN),
        **dict.fromkeys(
            [
                *(
                    "INVALID_DISPLAY_NAME",
                    "INVALID_DESCRIPTION",
                    "USER_LIST_NAME_RESERVED",
                    "MEMBERSHIP_DURATION_TOO_LONG",
                ),
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
                *(
                    "INVALID_BASE64_ENCODING",
                    "INVALID_SHA256_FORMAT",
                    "INVALID_MOBILE_ID_FORMAT",
                    "INVALID_POSTAL_CODE",
                ),
                *(
                    "INVALID_REGION_CODE",
                    "INVALID_COUNTRY_CODE",
                    "INVALID_AUDIENCE_MEMBER",
                    "TOO_MANY_USER_IDENTIFIERS",
                ),
                *("INVALID_EVENT", "NO_IDENTIFIERS_PROVIDED", "EVENT_TIME_INVALID", "INVALID_CURRENCY_CODE"),
                *("INVALID_AD_IDENTIFIER_FOR_ACCOUNT", "EVENT_SOURCE_AND_DESTINATION_MISMATCH"),
            ],
            BAD_MEMBER,
        ),
        **dict.fromkeys(["INVALID_CONVERSION_ACTION_ID", "INVALID_CONVERSION_ACTION_TYPE"], BAD_ACTION),
        "CONVERSION_ACTION_TOO_RECENTLY_CREATED": ErrorRule(
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
            TOO_LARGE,
        ),
        **dict.fromkeys(["INVALID_REQUEST_ID", "REQUEST_TOO_OLD"], FORGOTTEN),
        **dict.fromkeys(["INVALID_ARGUMENT", "FAILED_PRECONDITION"], BAD_REQUEST),
    },
)
GENERAL = ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "PERMISSION_DENIED")
"""What says less than any other reason in the same answer."""
BY_STATUS = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
}


def interpret(response: requests.Response) -> ConfigError | RejectedError | TransientError | None:
    """The error that an answer means, None for a success; the status decides where the body says nothing."""
    status, body = response.status_code, ERRORS.body(response)
    if status == 413:
        return Client.by_status(response)
    if body is None and status == 401:
        return ERRORS.error(response, "UNAUTHENTICATED")
    if body is None and status < 300:
        return TransientError(f"Google answered {status} with a page instead of JSON")
    if body is None:
        return Client.by_status(response)
    # The stream of the Google Ads API wraps an error in a list (google.md 12).
    first = body[0] if isinstance(body, list) and body else body
    # The Google Ads API says 200 also when it takes a part only (google.md 10.4).
    error = (first.get("error") or first.get("partialFailureError")) if isinstance(first, dict) else None
    if error is None and status < 300:
        return None
    return _failure(response, read_details(error if isinstance(error, dict) else {}))


def _failure(response: requests.Response, details: Details) -> ConfigError | RejectedError | TransientError:
    reason, rule = _rule(response.status_code, details)
    error = ERRORS.error(response, reason, rule=rule, trace=details.request_id, wait=details.wait)
    if rule in (BAD_MEMBER, BAD_REQUEST) and (members := _members(details)):
        return MembersError(error.problem, reason=f"google:{reason}", members=members)
    return error


def _rule(status: int, details: Details) -> tuple[str, ErrorRule]:
    """The reason that says most, and its rule; one that stops the run goes before one that costs members."""
    if details.is_front_end:
        return "INVALID_ARGUMENT", MISUNDERSTOOD
    if status == 401:
        return "UNAUTHENTICATED", NO_TOKEN
    known = sorted((reason for reason in details.reasons if reason in ERRORS.rules), key=_rank)
    if known and not (status >= 500 and known[0] in GENERAL):
        return known[0], ERRORS.rules[known[0]]
    reason = BY_STATUS.get(status, str(status))
    return reason, ERRORS.rule(status, reason)


def _rank(reason: str) -> tuple[bool, bool]:
    rule = ERRORS.rules[reason]
    return reason in GENERAL, rule is BAD_MEMBER or not issubclass(rule.error, ConfigError)


def _members(details: Details) -> dict[int, str]:
    """Reasons by member, where each violation names one: what concerns the request would stay without them."""
    if any(violation.member is None for violation in details.violations):
        return {}
    return {
        violation.member: f"google:{violation.reason if violation.reason in ERRORS.rules else 'unknown'}"
        for violation in details.violations
        if violation.member is not None
    }
