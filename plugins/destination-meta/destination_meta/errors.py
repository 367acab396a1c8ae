"""What each error of the Graph API means for a run, as a table (meta.md 1.2, 3.1, 3.3, 4.1, 4.3, 6)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from cdp_bridge.sdk import Client, ConfigError, RejectedError, TransientError

from destination_meta.usage import pause

if TYPE_CHECKING:
    import requests


Failure = ConfigError | RejectedError | TransientError


class GoneError(ConfigError):
    """The node does not exist (yet, or any more), or the token may not see it."""


class OverloadedError(TransientError):
    """Meta stumbled over this request; if it does so again, the request may be too large for it."""


class TooLargeError(RejectedError):
    """The request asks for, or brings, too much at once."""


class Rule(NamedTuple):
    """What an error means: the exception, its words, and the wait in seconds when no header names one."""

    error: type[ConfigError | RejectedError | TransientError]
    problem: str
    remedy: str = ""
    wait: float | None = None


TERMS = "The owner of the token must accept them at https://business.facebook.com/ads/manage/customaudiences/tos/"
REAUTHORISE = "Make a new system user token with ads_management in Business Settings and set access_token"
ASSIGN = "Give the system user ads_management and assign the ad account (and dataset) with the right to manage it"
NEUTRAL = "Give the audience a neutral name in Ads Manager and ask Meta for a review, or delete it"

BUSY = Rule(OverloadedError, "Meta is temporarily unable to answer")
LIMIT = Rule(TransientError, "Meta's rate limit is reached", wait=60)
UNUSUAL = Rule(TransientError, "Meta sees an unusual volume of calls", wait=300)
REPLACING = Rule(TransientError, "the members of this audience are being replaced by another tool", wait=60)
DEAD_TOKEN = Rule(ConfigError, "the access token is not valid any more", REAUTHORISE)
NO_PERMISSION = Rule(ConfigError, "the access token lacks a permission", ASSIGN)
NOT_ACCEPTED = Rule(ConfigError, "the custom audience terms were not accepted for this ad account", TERMS)
NOT_THERE = Rule(GoneError, "it does not exist or the access token may not see it", f"Check the id. {ASSIGN}")
FLAGGED = Rule(ConfigError, "Meta flagged this audience for integrity and blocks its editing", NEUTRAL)
BAD_REQUEST = Rule(RejectedError, "Meta refuses the request")
TOO_MUCH = Rule(TooLargeError, "the request is too large for Meta")
UNKNOWN = Rule(RejectedError, "Meta refuses the request with an error that is not in its documentation")

RULES: dict[tuple[int, int | None], Rule] = {
    **dict.fromkeys([(1, None), (2, None)], BUSY),
    **dict.fromkeys([(code, None) for code in (4, 17, 32, 341, 613, *range(80000, 80015))], LIMIT),
    (613, 1996): UNUSUAL,
    (960, None): Rule(TransientError, "a batch of calls timed out at Meta"),
    # Also "no token", but every call of ours carries one.
    (104, None): Rule(TransientError, "Meta reset the connection"),
    (21009, None): Rule(TransientError, "the dataset is not ready yet"),
    **dict.fromkeys([(2650, 1870145), (2650, 1870148)], REPLACING),
    **dict.fromkeys([(803, None), (100, 33), (1487301, None), (1487366, None), (100, 1487366)], NOT_THERE),
    **dict.fromkeys([(190, None), (102, None)], DEAD_TOKEN),
    (190, 458): Rule(ConfigError, "the person removed the app, so the access token is dead", REAUTHORISE),
    (190, 459): Rule(
        ConfigError, "Meta asks the owner of the access token to sign in first", "Sign in at facebook.com"
    ),
    (190, 460): Rule(ConfigError, "the password changed, so the access token is dead", REAUTHORISE),
    (190, 463): Rule(ConfigError, "the access token has expired", REAUTHORISE),
    (190, 464): Rule(
        ConfigError, "the owner of the access token is not confirmed", "Confirm the account at facebook.com"
    ),
    **dict.fromkeys([(code, None) for code in (3, 10, 270, 294, *range(200, 300))], NO_PERMISSION),
    (200, 1870050): Rule(
        ConfigError, "the ad account is not in a Business Manager", "Add it to one at business.facebook.com"
    ),
    **dict.fromkeys([(200, 1870090), (2655, None), (2663, None), (2664, None)], NOT_ACCEPTED),
    (368, None): Rule(
        ConfigError,
        "Meta blocked this account for policy reasons",
        "See Account Quality in Business Settings",
    ),
    **dict.fromkeys([(100, 1713228), (100, 1713230), (100, 1713231)], FLAGGED),
    **dict.fromkeys([(100, None), (105, None)], BAD_REQUEST),
    (2500, None): Rule(ConfigError, "Meta does not know this path", "Check base_url and api_version"),
    (2650, None): Rule(
        ConfigError,
        "the audience does not take this kind of upload",
        "Let the bridge make an audience of its own; one filled by another tool keeps that tool's kind",
    ),
    (2654, None): Rule(
        ConfigError, "Meta could not create the audience", "An ad account holds at most 500; delete unused ones"
    ),
    (2656, None): Rule(ConfigError, "lookalike audiences depend on this audience", "Delete them first"),
}
"""By code and subcode; None stands for every other subcode."""

PHRASES: dict[tuple[int, str], Rule] = {
    (1, "reduce the amount"): TOO_MUCH,
    (100, "appsecret_proof"): Rule(
        ConfigError,
        "the app demands appsecret_proof, or the one sent is wrong",
        "Set app_secret to that of the token's app",
    ),
}
"""Where code and subcode leave the meaning open: words of the message that decide."""


class _Envelope(msgspec.Struct):
    """The error envelope."""

    code: int = 1
    error_subcode: int | None = None
    is_transient: bool = False
    message: str = ""
    fbtrace_id: str = ""


def interpret(response: requests.Response) -> Failure | None:
    """The error that an answer means, None for a success; the HTTP status decides only when the body does not."""
    if response.status_code == 413:
        return TooLargeError("the request is too large for Meta", reason="http:413")
    try:
        body = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, RecursionError):
        return _page_instead_of_json(response)
    if isinstance(body, dict) and body.get("error"):
        return _meaning(_failure(body["error"]), response)
    if isinstance(body, dict) and body.get("success") is False:
        return _meaning(_Envelope(), response)
    return Client.by_status(response)


def _page_instead_of_json(response: requests.Response) -> Failure | None:
    if response.status_code < 300 or response.status_code == 400 or response.status_code >= 500:
        return OverloadedError(f"Meta answered {response.status_code} with a page instead of JSON")
    return Client.by_status(response)


def _failure(envelope: Any) -> _Envelope:
    try:
        return msgspec.convert(envelope, _Envelope, strict=False)
    except msgspec.ValidationError:
        return _Envelope()


def _meaning(failure: _Envelope, response: requests.Response) -> Failure:
    rule = _rule(failure)
    if rule in (BAD_REQUEST, UNKNOWN) and (failure.is_transient or response.status_code >= 500):
        rule = BUSY
    # The message itself may quote parameters of the request, so only the numbers and the trace go on.
    number = f"{failure.code}/{failure.error_subcode}" if failure.error_subcode else str(failure.code)
    trace = re.sub(r"[^\w-]", "", failure.fbtrace_id)[:40]
    problem = f"{rule.problem} (Meta's error {number}{f', trace {trace}' if trace else ''})"
    kind = rule.error
    if issubclass(kind, ConfigError):
        return kind(problem, place=response.request.path_url.partition("?")[0], remedy=rule.remedy)
    if issubclass(kind, RejectedError):
        return kind(problem, reason=f"meta:{number}")
    return kind(problem, retry_after=pause(response.headers) or rule.wait)


def _rule(failure: _Envelope) -> Rule:
    for (code, phrase), rule in PHRASES.items():
        if code == failure.code and phrase in failure.message:
            return rule
    return RULES.get((failure.code, failure.error_subcode)) or RULES.get((failure.code, None)) or UNKNOWN
