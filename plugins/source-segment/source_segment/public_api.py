"""The Public API: the workspace, its spaces and audiences (segment.md section 2)."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import msgspec
from cdp_bridge.sdk import Client, ConfigError, RejectedError, TransientError

from source_segment.settings import Settings

if TYPE_CHECKING:
    import requests

HOSTS = {"us": "https://api.segmentapis.com", "eu": "https://eu1.api.segmentapis.com"}
PAGE = 200
"""Rows a page: more than 200 audiences are refused."""

Json = dict[str, Any]


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
    found: Json = _data(api, "/")["workspace"]
    return found


def spaces(api: Client) -> Iterator[Json]:
    """Every space of the workspace, each once."""
    return _listed(api, "/spaces", "spaces")


def audiences(api: Client, space_id: str) -> Iterator[Json]:
    """Every audience of a space, each once."""
    return _listed(api, f"/spaces/{space_id}/audiences", "audiences")


def find_space(api: Client, wanted: str | None) -> Json:
    """The space with that id or slug, or the only one; ConfigError names those that exist."""
    found = list(spaces(api))
    chosen = [space for space in found if wanted in (None, space["id"], space["slug"])]
    if len(chosen) == 1:
        return chosen[0]
    known = ", ".join(space["slug"] for space in found) or "none; create one or ask Segment to switch Unify on"
    problem = f"there is no space {wanted}" if wanted else f"the workspace has {len(found)} spaces"
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
    said = f"the Public API answered {status} {error.get('type') or ''} {error.get('field') or ''}".strip()
    if status in (401, 403):
        return ConfigError(
            said,
            place="public_api_token",
            remedy="Use a Public API token of this workspace with read access, and its region; no other works here",
        )
    if status == 404:
        return ConfigError(said, place="space", remedy="Check that the space still exists and has Engage switched on")
    if status == 429:
        return TransientError(said, retry_after=_wait(response, error))
    if status >= 500 or status == 408:
        return TransientError(said, retry_after=Client.retry_after(response))
    return RejectedError(said, reason=f"segment:{status}")


def _listed(api: Client, path: str, name: str) -> Iterator[Json]:
    """Rows of all pages; rows shift between pages, so each id counts once."""
    seen: set[str] = set()
    query: dict[str, str] = {"pagination.count": str(PAGE)}
    while True:
        data = _data(api, path, params=query)
        for row in data[name]:
            if row["id"] not in seen:
                seen.add(row["id"])
                yield row
        following = data.get("pagination", {}).get("next")
        if not following or following == query.get("pagination.cursor"):
            return
        query["pagination.cursor"] = following


def _data(api: Client, path: str, **request: Any) -> Json:
    answer = api.read(path, **request)
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict):
        raise TransientError("the Public API answered without data; does a proxy change its answers?")
    data: Json = answer["data"]
    return data


def _first_error(response: requests.Response) -> Json:
    try:
        errors = msgspec.json.decode(response.content)["errors"]
        return errors[0] if isinstance(errors[0], dict) else {}
    except (msgspec.DecodeError, LookupError, TypeError):
        return {}


def _wait(response: requests.Response, error: Json) -> float | None:
    """Seconds until a limited token may call again, None if the answer does not say."""
    asked = Client.retry_after(response)
    if asked is not None:
        return asked
    milliseconds = (error.get("data") or {}).get("msBeforeNext")
    if isinstance(milliseconds, int | float) and milliseconds >= 0:
        return float(milliseconds) / 1000
    try:
        reset = parsedate_to_datetime(response.headers["X-RateLimit-Reset"]).timestamp() - time.time()
    except (KeyError, ValueError):
        return None
    return reset if reset > 0 else None
