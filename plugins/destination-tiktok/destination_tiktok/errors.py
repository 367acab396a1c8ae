"""What each error code of TikTok's API means for a run, as a table; HTTP says 200 to nearly all (tiktok.md 1.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from cdp_bridge.sdk import Client, ConfigError, ErrorRule, ErrorTable, RejectedError, TransientError

if TYPE_CHECKING:
    import requests


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


REAUTHORISE = "Sign in again at TikTok, or make a new long-term token, and set access_token"
GRANT = "Sign in again and grant Audience Management (for conversions also Pixel) to the app for this advertiser"
APP = "Check app_id and app_secret in TikTok's developer portal"
UPGRADE = "Update the connector: TikTok has retired what it uses"

LIMIT = ErrorRule(LimitedError, "TikTok's rate limit is reached", wait=1)
BUSY = ErrorRule(TransientError, "TikTok is temporarily unable to answer")
BAD_REQUEST = ErrorRule(RejectedError, "TikTok refuses the request")
TOO_LARGE = ErrorRule(RejectedError, "the request is too large for TikTok")
DEAD_TOKEN = ErrorRule(ConfigError, "the access token is not valid any more", REAUTHORISE)
NO_SCOPE = ErrorRule(ScopeError, "the app or the access token lacks a permission", GRANT)
NO_PERMISSION = ErrorRule(
    AccessError,
    "the access token may not touch this object",
    f"Check advertiser_id (of conversions event_source_id). {GRANT}",
)
BAD_APP = ErrorRule(ConfigError, "TikTok does not take app or authorization code", APP)
RETIRED = ErrorRule(ConfigError, "this version, endpoint or field is retired", UPGRADE)
UNKNOWN_PATH = ErrorRule(ConfigError, "TikTok does not know this path", "Check base_url")
BAD_FILE = ErrorRule(
    ConfigError, "TikTok does not understand the file", "Run again; if it stays so, update the connector"
)
LOST_FILE = ErrorRule(LostFileError, "TikTok has the file no more")
NOT_EDITABLE = ErrorRule(BusyError, "the audience is being processed and not editable now", wait=3_600)

PARTLY = 20001
"""The code of what was done in part."""
ERRORS = ErrorTable(
    "TikTok",
    {
        **dict.fromkeys([40000, 40002, 40062], BAD_REQUEST),
        **dict.fromkeys([40011, 40061, 40907], TOO_LARGE),
        40001: NO_PERMISSION,
        **dict.fromkeys([40006, 40051, 41001, 41002], RETIRED),
        40007: ErrorRule(GoneError, "it does not exist at TikTok", "Check the id"),
        **dict.fromkeys([40008, 40400], UNKNOWN_PATH),
        **dict.fromkeys([40016, 40100, 40132, 40133, 61000], LIMIT),
        40050: ErrorRule(DuplicateError, "TikTok has seen this request before", "Run again in a few minutes"),
        **dict.fromkeys([40101, 40110, 40113, 40115], BAD_APP),
        **dict.fromkeys([40102, 40104, 40105], DEAD_TOKEN),
        40106: ErrorRule(AccessError, "the access token is not for this advertiser", f"Check advertiser_id. {GRANT}"),
        40118: ErrorRule(
            ConfigError,
            "the app is not on the allow-list of the streaming segment API",
            "Ask your TikTok representative to put the app on it",
        ),
        **dict.fromkeys([40119, 40124, 40125, 40130], NO_SCOPE),
        40200: ErrorRule(RejectedError, "a task at TikTok has failed"),
        40201: ErrorRule(TransientError, "a task at TikTok is not ready yet", wait=60),
        40202: ErrorRule(TransientError, "somebody else writes to it at the same time"),
        **dict.fromkeys([40300, 40301], ErrorRule(AccessError, "there is no such advertiser", "Check advertiser_id")),
        **dict.fromkeys([40900, 40906, 40908, 40909], BAD_FILE),
        **dict.fromkeys([40905, 40910], LOST_FILE),
        41000: ErrorRule(
            ConfigError, "TikTok has banned this address", "Ask TikTok's support, with the address of this host"
        ),
        **dict.fromkeys([50000, 50002], BUSY),
        60001: ErrorRule(TransientError, "TikTok is under maintenance", wait=300),
    },
)
INNER_SERVICES = range(51_000, 53_000)
"""Codes of services behind the API."""
EDITABLE = "not editable"
"""In the message of a code that otherwise means a bad request."""


class _Envelope(msgspec.Struct):
    """What every answer has."""

    code: int
    message: str = ""
    request_id: str = ""


def interpret(response: requests.Response) -> ConfigError | RejectedError | TransientError | None:
    """The error that an answer means, None for a success, even a partial one; the status decides without a body."""
    if response.status_code == 404:
        return ERRORS.error(response, 404, rule=UNKNOWN_PATH)
    if failure := Client.by_status(response):
        return failure
    try:
        answer = msgspec.convert(ERRORS.body(response), _Envelope, strict=False)
    except msgspec.ValidationError:
        return TransientError(f"TikTok answered {response.status_code} with something unexpected instead of a code")
    if answer.code in (0, PARTLY):
        return None
    return ERRORS.error(response, answer.code, rule=_rule(response.status_code, answer), trace=answer.request_id)


def _rule(status: int, answer: _Envelope) -> ErrorRule:
    if answer.code == 40002 and EDITABLE in answer.message:
        return NOT_EDITABLE
    return BUSY if answer.code in INNER_SERVICES else ERRORS.rule(status, answer.code)
