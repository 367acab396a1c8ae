"""Looks up one person by one identifier in the Profile API (segment.md section 3)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from cdp_bridge.sdk import Client, ConfigError, ErrorRule, ErrorTable, RejectedError, Secret, TransientError

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

NO_ACCESS = ErrorRule(
    ConfigError,
    "the Profile API does not take the token",
    "Use an access token of this space, and its region",
    place="profile_api_token",
)
UNREADABLE = ErrorRule(
    TransientError, "the Profile API failed; if it stays so, Segment cannot read the type or value asked for"
)
ERRORS = ErrorTable(
    "Segment",
    {
        **dict.fromkeys([401, 403], NO_ACCESS),
        429: ErrorRule(TransientError, "the rate limit of the Profile API is reached"),
        500: UNREADABLE,
    },
    busy=ErrorRule(TransientError, "the Profile API is temporarily unable to answer"),
    unknown=ErrorRule(RejectedError, "the Profile API refuses the request"),
)
"""By HTTP status, since codes differ between pages of the vendor."""


class _Cursor(msgspec.Struct):
    has_more: bool = False
    next: str | None = None


class _Page(msgspec.Struct):
    cursor: _Cursor | None = None

    def following(self, _: object) -> dict[str, str] | None:
        return {"next": self.cursor.next} if self.cursor and self.cursor.has_more and self.cursor.next else None


class _Traits(_Page, kw_only=True):
    traits: Json


class _Identifier(msgspec.Struct):
    type: str
    id: str


class _Identifiers(_Page, kw_only=True):
    data: list[_Identifier]


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
    traits: Json = {}
    identifiers: dict[str, list[str]] = {}
    try:
        with _masked(path):
            for page in api.pages(f"{path}/traits", _Traits.following, type=_Traits, params={"limit": TRAITS_PAGE}):
                traits |= page.traits
            params = {"limit": IDENTIFIERS_PAGE}
            for ids in api.pages(f"{path}/external_ids", _Identifiers.following, type=_Identifiers, params=params):
                for row in ids.data:
                    identifiers.setdefault(row.type, []).append(row.id)
    except RejectedError as error:
        if error.reason == NOT_FOUND:
            return None
        raise
    return {"user_id": next(iter(identifiers.get("user_id", ())), None), "identifiers": identifiers, "traits": traits}


def is_known(api: Client, space_id: str, identifier: str) -> bool:
    """Whether anybody has the identifier."""
    path = _path(space_id, identifier)
    try:
        with _masked(path):
            api.read(f"{path}/metadata")
    except RejectedError as error:
        if error.reason == NOT_FOUND:
            return False
        raise
    return True


def interpret(response: requests.Response) -> ConfigError | RejectedError | TransientError | None:
    """The error that an answer means; the status decides."""
    if response.status_code < 400:
        return None
    return ERRORS.error(response, response.status_code, trace=response.headers.get("Request-Id", ""))


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


@contextlib.contextmanager
def _masked(path: str) -> Iterator[None]:
    """Errors do not name the person in the path."""
    try:
        yield
    except TransientError as error:
        raise TransientError(error.problem.replace(path, _PLACE), retry_after=error.retry_after) from None
    except ConfigError as error:
        raise ConfigError(error.problem.replace(path, _PLACE), place=error.place, remedy=error.remedy) from None
