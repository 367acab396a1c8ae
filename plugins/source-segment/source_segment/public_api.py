"""Reads the workspace, its spaces and audiences from the Public API (segment.md section 2)."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
from cdp_bridge.sdk import Client, ConfigError, ErrorRule, ErrorTable, RejectedError, TransientError

from source_segment.settings import Settings

if TYPE_CHECKING:
    import requests

HOSTS = {"us": "https://api.segmentapis.com", "eu": "https://eu1.api.segmentapis.com"}
FIRST_PAGE = {"pagination.count": "200"}
"""Rows a page: more than 200 audiences are refused."""

Json = dict[str, Any]
T = TypeVar("T")

READ_ACCESS = "Use a Public API token of this workspace with read access, and its region; no other works here"
NO_ACCESS = ErrorRule(ConfigError, "the Public API does not take the token", READ_ACCESS, place="public_api_token")
NO_SPACE = ErrorRule(
    ConfigError,
    "the Public API does not know the space",
    "Check that the space still exists and has Engage switched on",
    place="space",
)
ERRORS = ErrorTable(
    "Segment",
    {
        **dict.fromkeys([401, 403], NO_ACCESS),
        404: NO_SPACE,
        429: ErrorRule(TransientError, "the rate limit of the Public API is reached"),
    },
    busy=ErrorRule(TransientError, "the Public API is temporarily unable to answer"),
    unknown=ErrorRule(RejectedError, "the Public API refuses the request"),
    trace="",
)
"""By HTTP status."""


class _Pagination(msgspec.Struct):
    next: str | None = None


class _Workspace(msgspec.Struct):
    workspace: Json


class _Spaces(msgspec.Struct):
    spaces: list[Json]
    pagination: _Pagination = msgspec.field(default_factory=_Pagination)


class _Audiences(msgspec.Struct):
    audiences: list[Json]
    pagination: _Pagination = msgspec.field(default_factory=_Pagination)


class _Answer(msgspec.Struct, Generic[T]):
    data: T


def connect(settings: Settings) -> Client:
    """A client for the workspace that the token belongs to."""
    return Client(
        settings.base_url or HOSTS[settings.region],
        interpret=interpret,
        headers={
            "Authorization": f"Bearer {settings.public_api_token.reveal()}",
            "Accept": "application/json",
        },
    )


def workspace(api: Client) -> Json:
    """The workspace: the cheapest check of the token."""
    return api.read("/", type=_Answer[_Workspace]).data.workspace


def spaces(api: Client) -> Iterator[Json]:
    """Every space of the workspace, each once."""
    pages = api.pages("/spaces", _following, type=_Answer[_Spaces], params=FIRST_PAGE)
    return _each_once(row for page in pages for row in page.data.spaces)


def audiences(api: Client, space_id: str) -> Iterator[Json]:
    """Every audience of a space, each once."""
    pages = api.pages(f"/spaces/{space_id}/audiences", _following, type=_Answer[_Audiences], params=FIRST_PAGE)
    return _each_once(row for page in pages for row in page.data.audiences)


def find_space(api: Client, wanted: str | None) -> Json:
    """The space with that id or slug, or the only one; ConfigError names those that exist."""
    existing = list(spaces(api))
    chosen = [space for space in existing if wanted in (None, space["id"], space["slug"])]
    if len(chosen) == 1:
        return chosen[0]
    known = ", ".join(space["slug"] for space in existing) or "none; create one or ask Segment to switch Unify on"
    problem = f"there is no space {wanted}" if wanted else f"the workspace has {len(existing)} spaces"
    raise ConfigError(problem, place="space", remedy=f"Set space to one of: {known}")


def find_audience(known: list[Json], key: str) -> Json:
    """The audience with that key if its members can be read; ConfigError says why not.

    The key is the name of the flag trait on profiles, so neither id nor name will do (segment.md section 2.4).
    """
    by_key = {audience["key"]: audience for audience in known}
    audience = by_key.get(key)
    if audience is None:
        close = difflib.get_close_matches(key, by_key, n=3) or sorted(by_key)[:10]
        raise ConfigError(
            f"the space has no audience with the key {key}",
            place="segment",
            remedy=f"Use an audience's key, not its id or name: {', '.join(close) or 'there are none yet'}",
        )
    if reason := unreadable(audience):
        raise ConfigError(f"the audience {key} {reason}", place="segment", remedy="Choose an enabled audience of users")
    return audience


def unreadable(audience: Json) -> str | None:
    """Why the members of an audience cannot be read from user tables, or None if they can."""
    if audience["audienceType"] != "USERS":
        return f"holds {audience['audienceType']}, not users"
    if not audience["enabled"] or audience.get("status") == "Disabled":
        return "is disabled, so its membership is out of date"
    return None


def interpret(response: requests.Response) -> ConfigError | RejectedError | TransientError | None:
    """The error that an answer means; the waits of a 429 in the order of trust of segment.md section 2.3."""
    status = response.status_code
    if status < 400:
        return None
    error = _first_error(response)
    trace = f"{error.get('type') or ''} {error.get('field') or ''}".strip()
    return ERRORS.error(response, status, trace=trace, wait=_wait(response, error) if status == 429 else None)


def _following(page: _Answer[Any], _: object) -> dict[str, str] | None:
    cursor = page.data.pagination.next
    return {"pagination.cursor": cursor} if cursor else None


def _each_once(rows: Iterable[Json]) -> Iterator[Json]:
    """Rows shift between pages, so each id counts once."""
    seen: set[str] = set()
    for row in rows:
        if row["id"] not in seen:
            seen.add(row["id"])
            yield row


def _first_error(response: requests.Response) -> Json:
    try:
        errors = ERRORS.body(response)["errors"]
        return errors[0] if isinstance(errors[0], dict) else {}
    except (LookupError, TypeError):
        return {}


def _wait(response: requests.Response, error: Json) -> float | None:
    """Seconds until a limited token may call again, None if the answer does not say."""
    seconds = Client.retry_after(response)
    if seconds is not None:
        return seconds
    milliseconds = (error.get("data") or {}).get("msBeforeNext")
    if isinstance(milliseconds, int | float) and milliseconds >= 0:
        return float(milliseconds) / 1000
    try:
        reset = parsedate_to_datetime(response.headers["X-RateLimit-Reset"]).timestamp() - time.time()
    except (KeyError, ValueError):
        return None
    return reset if reset > 0 else None
