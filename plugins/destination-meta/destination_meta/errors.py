"""What each error of the Graph API means for a run, as a table (meta.md 1.2, 3.1, 3.3, 4.1, 4.3, 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from cdp_bridge.sdk import Client, ConfigError, ErrorRule, ErrorTable, RejectedError, TransientError

from destination_meta.usage import pause

if TYPE_CHECKING:
    import requests


class GoneError(ConfigError):
    """The node does not exist (yet, or any more), or the token may not see it."""


class OverloadedError(TransientError):
    """Meta failed over this request; if it does so again, the request may be too large for it."""


class TooLargeError(RejectedError):
    """The request asks for, or brings, too much at once."""


class TooSmallError(RejectedError):
    """Meta takes nobody out of an audience that is so small."""


TERMS = "The owner of the token must accept them at https://business.facebook.com/ads/manage/customaudiences/tos/"
REAUTHORISE = "Make a new system user token with ads_management in Business Settings and set access_token"
ASSIGN = "Give the system user ads_management and assign the ad account (and dataset) with the right to manage it"
NEUTRAL = "Give the audience a neutral name in Ads Manager and ask Meta for a review, or delete it"

BUSY = ErrorRule(OverloadedError, "Meta is temporarily unable to answer")
LIMIT = ErrorRule(TransientError, "Meta's rate limit is reached", wait=60)
UNUSUAL = ErrorRule(TransientError, "Meta sees an unusual volume of calls", wait=300)
REPLACING = ErrorRule(TransientError, "the members of this audience are being replaced by another tool", wait=60)
DEAD_TOKEN = ErrorRule(ConfigError, "the access token is not valid any more", REAUTHORISE)
NO_PERMISSION = ErrorRule(ConfigError, "the access token lacks a permission", ASSIGN)
NOT_ACCEPTED = ErrorRule(ConfigError, "the custom audience terms were not accepted for this ad account", TERMS)
NOT_THERE = ErrorRule(GoneError, "it does not exist or the access token may not see it", f"Check the id. {ASSIGN}")
FLAGGED = ErrorRule(ConfigError, "Meta flagged this audience for integrity and blocks its editing", NEUTRAL)
BAD_REQUEST = ErrorRule(RejectedError, "Meta refuses the request")
TOO_SMALL = ErrorRule(TooSmallError, "the audience is too small for Meta to remove anybody from it")
TOO_LARGE = ErrorRule(TooLargeError, "the request is too large for Meta")

ERRORS = ErrorTable(
    "Meta",
    {
        **dict.fromkeys([1, 2], BUSY),
        **dict.fromkeys([4, 17, 32, 341, 613, *range(80000, 80015)], LIMIT),
        (613, 1996): UNUSUAL,
        960: ErrorRule(TransientError, "a batch of calls timed out at Meta"),
        # Also "no token", but every call of ours has one.
        104: ErrorRule(TransientError, "Meta reset the connection"),
        21009: ErrorRule(TransientError, "the dataset is not ready yet"),
        **dict.fromkeys([(2650, 1870145), (2650, 1870148)], REPLACING),
        **dict.fromkeys([803, 1487301, 1487366, (100, 33), (100, 1487366)], NOT_THERE),
        **dict.fromkeys([102, 190], DEAD_TOKEN),
        (190, 458): ErrorRule(ConfigError, "the person removed the app, so the access token is dead", REAUTHORISE),
        (190, 459): ErrorRule(
            ConfigError, "Meta asks the owner of the access token to sign in first", "Sign in at facebook.com"
        ),
        (190, 460): ErrorRule(ConfigError, "the password changed, so the access token is dead", REAUTHORISE),
        (190, 463): ErrorRule(ConfigError, "the access token has expired", REAUTHORISE),
        (190, 464): ErrorRule(
            ConfigError, "the owner of the access token is not confirmed", "Confirm the account at facebook.com"
        ),
        **dict.fromkeys([3, 10, 270, 294, *range(200, 300)], NO_PERMISSION),
        (200, 1870050): ErrorRule(
            ConfigError, "the ad account is not in a Business Manager", "Add it to one at business.facebook.com"
        ),
        **dict.fromkeys([(200, 1870034), (200, 1870090), 2655, 2663, 2664], NOT_ACCEPTED),
        (200, 1870047): TOO_SMALL,
        368: ErrorRule(
            ConfigError, "Meta blocked this account for policy reasons", "See Account Quality in Business Settings"
        ),
        **dict.fromkeys([(100, 1713228), (100, 1713230), (100, 1713231)], FLAGGED),
        **dict.fromkeys([100, 105], BAD_REQUEST),
        2500: ErrorRule(ConfigError, "Meta does not know this path", "Check base_url and api_version"),
        2650: ErrorRule(
            ConfigError,
            "the audience does not take this kind of upload",
            "Let the bridge make an audience of its own; one filled by another tool keeps that tool's kind",
        ),
        2654: ErrorRule(
            ConfigError, "Meta could not create the audience", "An ad account holds at most 500; delete unused ones"
        ),
        2656: ErrorRule(ConfigError, "lookalike audiences depend on this audience", "Delete them first"),
    },
    busy=BUSY,
    trace="trace",
)

PHRASES = {
    (1, "reduce the amount"): TOO_LARGE,
    (100, "appsecret_proof"): ErrorRule(
        ConfigError,
        "the app demands appsecret_proof, or the one sent is wrong",
        "Set app_secret to that of the token's app",
    ),
}
"""Where code and subcode leave the meaning open: words of the message that decide."""


class _Envelope(msgspec.Struct):
    """The error in an answer."""

    code: int = 1
    error_subcode: int | None = None
    is_transient: bool = False
    message: str = ""
    fbtrace_id: str = ""


def interpret(response: requests.Response) -> ConfigError | RejectedError | TransientError | None:
    """The error that an answer means, None for a success; the HTTP status decides only when the body does not."""
    status, body = response.status_code, ERRORS.body(response)
    if status == 413:
        return TooLargeError(TOO_LARGE.problem, reason="http:413")
    if body is None and (status in (200, 400) or status >= 500):
        return OverloadedError(f"Meta answered {status} with a page instead of JSON")
    if isinstance(body, dict) and body.get("error"):
        return _failure(response, _envelope(body["error"]))
    if isinstance(body, dict) and body.get("success") is False:
        return _failure(response, _Envelope())
    return Client.by_status(response)


def _envelope(error: Any) -> _Envelope:
    try:
        return msgspec.convert(error, _Envelope, strict=False)
    except msgspec.ValidationError:
        return _Envelope()


def _failure(response: requests.Response, error: _Envelope) -> ConfigError | RejectedError | TransientError:
    rule = _rule(response.status_code, error)
    wait, subcode = pause(response.headers) or None, error.error_subcode or None
    return ERRORS.error(response, error.code, subcode, rule=rule, trace=error.fbtrace_id, wait=wait)


def _rule(status: int, error: _Envelope) -> ErrorRule:
    for (code, phrase), rule in PHRASES.items():
        if code == error.code and phrase in error.message:
            return rule
    rule = ERRORS.rule(status, error.code, error.error_subcode)
    # These two say little: what Meta calls transient, or says with 5xx, may work later.
    is_passing = rule in (BAD_REQUEST, ERRORS.unknown) and (error.is_transient or status >= 500)
    return BUSY if is_passing else rule
