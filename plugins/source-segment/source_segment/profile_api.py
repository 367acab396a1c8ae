"""The Profile API: one person by one identifier (segment.md section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cdp_bridge.sdk import Client, ConfigError, RejectedError, Secret, TransientError

from source_segment.settings import Settings

if TYPE_CHECKING:
    import requests

HOSTS = {"us": "https://profiles.segment.com", "eu": "https://profiles.euw1.segment.com"}
TRAITS_PAGE = 200
"""The default of 10 would cut off membership flags."""
IDENTIFIERS_PAGE = 25
NOT_FOUND = "segment:404"
_PLACE = "/v1/spaces/***"

Json = dict[str, Any]


def connect(settings: Settings) -> Client:
    """A client for the profiles of a space; ConfigError without a token."""
    if settings.profile_api_token is None:
        raise ConfigError(
            "single profiles cannot be looked up",
            place="profile_api_token",
            remedy="Set an access token of the space: Unify > Unify settings > API access",
        )
    host = settings.base_url or HOSTS[settings.region]
    return Client(host, interpret=interpret, auth=(settings.profile_api_token.reveal(), ""))


def look_up(api: Client, space_id: str, identifier: str) -> Json | None:
    """One person by `type:value` as a record (`user_id, identifiers, traits`), None if nobody has that identifier."""
    path = _path(space_id, identifier)
    try:
        traits = [page["traits"] for page in _pages(api, f"{path}/traits", TRAITS_PAGE)]
        found = [row for page in _pages(api, f"{path}/external_ids", IDENTIFIERS_PAGE) for row in page["data"]]
    except RejectedError as error:
        if error.reason == NOT_FOUND:
            return None
        raise
    identifiers: dict[str, list[str]] = {}
    for row in found:
        identifiers.setdefault(row["type"], []).append(row["id"])
    merged = {name: value for page in traits for name, value in page.items()}
    return {"user_id": next(iter(identifiers.get("user_id", ())), None), "identifiers": identifiers, "traits": merged}


def is_known(api: Client, space_id: str, identifier: str) -> bool:
    """Whether anybody has the identifier."""
    try:
        _read(api, f"{_path(space_id, identifier)}/metadata")
    except RejectedError as error:
        if error.reason == NOT_FOUND:
            return False
        raise
    return True


def interpret(response: requests.Response) -> ConfigError | RejectedError | TransientError | None:
    """The error that an answer means; by status, since codes differ between pages of the vendor."""
    status = response.status_code
    if status < 400:
        return None
    request_id = response.headers.get("Request-Id", "none")
    said = f"the Profile API answered {status} (Request-Id {request_id})"
    if status in (401, 403):
        return ConfigError(said, place="profile_api_token", remedy="Use an access token of this space, and its region")
    if status == 429:
        return TransientError(said, retry_after=Client.retry_after(response))
    if status == 500:
        return TransientError(f"{said}; if it stays so, Segment cannot read the type or value asked for")
    if status > 500:
        return TransientError(said, retry_after=Client.retry_after(response))
    return RejectedError(said, reason=f"segment:{status}")


def _path(space_id: str, identifier: str) -> str:
    """Lower-case and fully encoded: other casing finds nobody, and a raw `+` is answered with 500."""
    kind, colon, value = identifier.partition(":")
    if not (kind and colon and value):
        raise ConfigError(
            "a profile is looked up by type and value", place="segment", remedy="Write type:value, e.g. user_id:u-1001"
        )
    # The API wants the person in the URL; as a secret it stays out of every line that this process writes.
    encoded = Secret(quote(value.lower(), safe="")).reveal()
    return f"/v1/spaces/{space_id}/collections/users/profiles/{quote(kind, safe='')}:{encoded}"


def _pages(api: Client, path: str, limit: int) -> Iterator[Json]:
    query = {"limit": str(limit)}
    while True:
        page = _read(api, path, params=query)
        yield page
        cursor = page.get("cursor") or {}
        if not cursor.get("has_more") or not cursor.get("next"):
            return
        query["next"] = cursor["next"]


def _read(api: Client, path: str, **request: Any) -> Json:
    try:
        answer: Json = api.read(path, **request)
    except TransientError as error:
        raise TransientError(error.problem.replace(path, _PLACE), retry_after=error.retry_after) from None
    except ConfigError as error:
        raise ConfigError(error.problem.replace(path, _PLACE), place=error.place, remedy=error.remedy) from None
    return answer
