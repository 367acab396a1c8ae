"""What each code of the API means for a run, as a table; HTTP says 200 to nearly all of them (tiktok.md 1.2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from cdp_bridge.sdk import Client, ConfigError, RejectedError, TransientError

if TYPE_CHECKING:
    import requests


Failure = ConfigError | RejectedError | TransientError


class AccessError(ConfigError):
    """The access token is good, but not for this."""


class ScopeError(AccessError):
    """The access token was not given what this call needs."""


class GoneError(ConfigError):
    """The object does not exist, or not any more."""


class LimitedError(TransientError):
    """Too many requests; TikTok does not say whether in a second, a minute or a day."""


class BusyError(TransientError):
    """The audience is being computed, and takes no file meanwhile."""


class LostFileError(TransientError):
    """TikTok has the uploaded file no more."""


class DuplicateError(ConfigError):
    """TikTok has this request already."""


class Rule(NamedTuple):
    """What a code means: the exception, its words, and the wait in seconds where the contract names one."""

    error: type[ConfigError | RejectedError | TransientError]
    problem: str
    remedy: str = ""
    wait: float | None = None


REAUTHORISE = "Sign in again at TikTok, or make a new long-term token, and set access_token"
GRANT = "Sign in again and grant Audience Management (for conversions also Pixel) to the app for this advertiser"
APP = "Check app_id and app_secret in TikTok's developer portal"
UPGRADE = "Update the connector: TikTok has retired what it uses"

LIMIT = Rule(LimitedError, "TikTok's rate limit is reached", wait=1)
BUSY = Rule(TransientError, "TikTok is temporarily unable to answer")
BAD_REQUEST = Rule(RejectedError, "TikTok refuses the request")
TOO_MUCH = Rule(RejectedError, "the request is too large for TikTok")
DEAD_TOKEN = Rule(ConfigError, "the access token is not valid any more", REAUTHORISE)
NO_SCOPE = Rule(ScopeError, "the app or the access token lacks a permission", GRANT)
NO_PERMISSION = Rule(
    AccessError,
    "the access token may not touch this object",
    f"Check advertiser_id (of conversions event_source_id). {GRANT}",
)
BAD_APP = Rule(ConfigError, "TikTok does not take app or authorization code", APP)
RETIRED = Rule(ConfigError, "this version, endpoint or field is retired", UPGRADE)
UNKNOWN_PATH = Rule(ConfigError, "TikTok does not know this path", "Check base_url")
BAD_FILE = Rule(ConfigError, "TikTok does not understand the file", "Run again; if it stays so, update the connector")
LOST_FILE = Rule(LostFileError, "TikTok has the file no more")
NOT_EDITABLE = Rule(BusyError, "the audience is being processed and not editable now", wait=3_600)
UNKNOWN = Rule(RejectedError, "TikTok refuses the request with a code that is not in its documentation")

PARTLY = 20001
RULES: dict[int, Rule] = {
    **dict.fromkeys([40000, 40002, 40062], BAD_REQUEST),
    **dict.fromkeys([40011, 40061, 40907], TOO_MUCH),
    40001: NO_PERMISSION,
    **dict.fromkeys([40006, 40051, 41001, 41002], RETIRED),
    40007: Rule(GoneError, "it does not exist at TikTok", "Check the id"),
    **dict.fromkeys([40008, 40400], UNKNOWN_PATH),
    **dict.fromkeys([40016, 40100, 40132, 40133, 61000], LIMIT),
    40050: Rule(DuplicateError, "TikTok has seen this request before", "Run again in a few minutes"),
    **dict.fromkeys([40101, 40110, 40113, 40115], BAD_APP),
    **dict.fromkeys([40102, 40104, 40105], DEAD_TOKEN),
    40106: Rule(AccessError, "the access token is not for this advertiser", f"Check advertiser_id. {GRANT}"),
    40118: Rule(
        ConfigError,
        "the app is not on the allow-list of the streaming segment API",
        "Ask your TikTok representative to put the app on it",
    ),
    **dict.fromkeys([40119, 40124, 40125, 40130], NO_SCOPE),
    40200: Rule(RejectedError, "a task at TikTok has failed"),
    40201: Rule(TransientError, "a task at TikTok is not ready yet", wait=60),
    40202: Rule(TransientError, "somebody else writes to it at the same time"),
    **dict.fromkeys([40300, 40301], Rule(AccessError, "there is no such advertiser", "Check advertiser_id")),
    **dict.fromkeys([40900, 40906, 40908, 40909], BAD_FILE),
    **dict.fromkeys([40905, 40910], LOST_FILE),
    41000: Rule(ConfigError, "TikTok has banned this address", "Ask TikTok's support, with the address of this host"),
    **dict.fromkeys([50000, 50002], BUSY),
    60001: Rule(TransientError, "TikTok is under maintenance", wait=300),
}
INNER_SERVICES = range(51_000, 53_000)
EDITABLE = "not editable"


class _Envelope(msgspec.Struct):
    """What every answer is."""

    code: int
    message: str = ""
    request_id: str = ""


def interpret(response: requests.Response) -> Failure | None:
    """The error that an answer means, None for a success, even a partial one; the status decides without a body."""
    if response.status_code == 413:
        return RejectedError(TOO_MUCH.problem, reason="http:413")
    if response.status_code == 404:
        return ConfigError(UNKNOWN_PATH.problem, place=_place(response), remedy=UNKNOWN_PATH.remedy)
    if failure := Client.by_status(response):
        return failure
    try:
        answer = msgspec.json.decode(response.content, type=_Envelope)
    except (msgspec.DecodeError, RecursionError):
        return TransientError(f"TikTok answered {response.status_code} with something unexpected instead of a code")
    return None if answer.code in (0, PARTLY) else _meaning(answer, response)


def _meaning(answer: _Envelope, response: requests.Response) -> Failure:
    rule = RULES.get(answer.code) or (BUSY if answer.code in INNER_SERVICES else UNKNOWN)
    if answer.code == 40002 and EDITABLE in answer.message:
        rule = NOT_EDITABLE
    # The message itself may quote the request, so only the code and the request's id go on.
    request = re.sub(r"[^\w-]", "", answer.request_id)[:40]
    problem = f"{rule.problem} (TikTok's code {answer.code}{f', request {request}' if request else ''})"
    kind = rule.error
    if issubclass(kind, ConfigError):
        return kind(problem, place=_place(response), remedy=rule.remedy)
    if issubclass(kind, RejectedError):
        return kind(problem, reason=f"tiktok:{answer.code}")
    return kind(problem, retry_after=rule.wait)


def _place(response: requests.Response) -> str:
    return response.request.path_url.partition("?")[0]
