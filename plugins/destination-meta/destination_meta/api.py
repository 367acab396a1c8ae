"""Calls the Graph API: credentials, lists, and what an audience says about itself."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec
from cdp_bridge.sdk import Client, Secret

from destination_meta.errors import TooLargeError, interpret
from destination_meta.settings import Settings

T = TypeVar("T")
PAGE = 100
JSON = {"Content-Type": "application/json"}


class Status(msgspec.Struct):
    """A status as Meta gives it."""

    code: int = 0
    description: str = ""


class AdAccount(msgspec.Struct):
    """An ad account that the token reaches."""

    id: str
    name: str | None = None


class CustomAudience(msgspec.Struct):
    """What an audience says about itself, as far as it was asked; a bound is -1 while unknown (meta.md 3)."""

    id: str
    name: str = ""
    subtype: str = ""
    description: str | None = None
    approximate_count_lower_bound: int = -1
    approximate_count_upper_bound: int = -1
    delivery_status: Status = msgspec.field(default_factory=Status)
    operation_status: Status = msgspec.field(default_factory=Status)


class _Cursors(msgspec.Struct):
    after: str = ""


class _Paging(msgspec.Struct):
    cursors: _Cursors = msgspec.field(default_factory=_Cursors)
    next: str | None = None


class _Page(msgspec.Struct, Generic[T]):
    data: list[T]
    paging: _Paging = msgspec.field(default_factory=_Paging)

    def following(self, _: object) -> dict[str, str] | None:
        """Our own parameters with the cursor, not `next`: that URL holds the access token."""
        return None if self.paging.next is None else {"after": self.paging.cursors.after}


def connect(settings: Settings) -> Client:
    """A client that signs each call; the token travels as a header, where no log of URLs sees it (meta.md 1.1)."""
    token = settings.access_token.reveal()
    params = {} if settings.app_secret is None else {"appsecret_proof": proof(settings.app_secret, token).reveal()}
    headers = {"Authorization": f"Bearer {token}"}
    return Client(f"{settings.base_url}/{settings.api_version}", interpret=interpret, headers=headers, params=params)


def proof(app_secret: Secret, token: str) -> Secret:
    """`appsecret_proof`: lower-case hex of HMAC-SHA256 of the token, keyed with the app secret (meta.md 1.1)."""
    return Secret(hmac.new(app_secret.reveal().encode(), token.encode(), hashlib.sha256).hexdigest())


def ad_accounts(client: Client) -> Iterator[AdAccount]:
    """Every ad account that the token reaches."""
    return _entries(client, "/me/adaccounts", "id,name", _Page[AdAccount])


def custom_audiences(client: Client, settings: Settings, fields: str) -> Iterator[CustomAudience]:
    """Every custom audience of the ad account, with these fields."""
    return _entries(client, f"/{settings.account}/customaudiences", fields, _Page[CustomAudience])


def _entries(client: Client, edge: str, fields: str, page_type: type[_Page[T]]) -> Iterator[T]:
    """A list to its last page; pages shrink while Meta finds them too large (meta.md 3.3)."""
    params: dict[str, Any] = {"fields": fields, "limit": PAGE}
    while True:
        try:
            for page in client.pages(edge, _Page.following, type=page_type, params=params):
                yield from page.data
                params["after"] = page.paging.cursors.after
            return
        except TooLargeError:
            if params["limit"] == 1:
                raise
            params["limit"] //= 2
