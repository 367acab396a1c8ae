"""Calls to Google's APIs: tokens, accounts, paged lists, and answers with a known shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
import requests
from cdp_bridge.sdk import Client, TransientError

from destination_google.errors import ExpiredError, interpret
from destination_google.settings import Settings
from destination_google.tokens import Tokens

T = TypeVar("T")
PAGE = 1_000


class Size(msgspec.Struct, rename="camel"):
    """Active people whom a network reaches, rounded; 0 while unknown or below Google's minimum."""

    display_network_members_count: int = 0
    search_network_members_count: int = 0
    youtube_members_count: int = 0
    gmail_members_count: int = 0

    @property
    def most(self) -> int:
        """In the network that reaches most of them."""
        most = max(self.display_network_members_count, self.search_network_members_count)
        return max(most, self.youtube_members_count, self.gmail_members_count)


class UserList(msgspec.Struct, rename="camel"):
    """What a user list says about itself (google.md 5)."""

    id: str
    display_name: str = ""
    integration_code: str = ""
    membership_status: str = "OPEN"
    membership_duration: str = ""
    account_access_status: str = "ENABLED"
    closing_reason: str = ""
    read_only: bool = False
    size_info: Size = msgspec.field(default_factory=Size)


class _Page(msgspec.Struct, rename="camel"):
    user_lists: list[UserList] = []
    next_page_token: str = ""


class SignedClient(Client):
    """A client that gets its token when the first call needs it, and another one once Google refuses it."""

    def __init__(self, base_url: str, tokens: Tokens, headers: dict[str, str]) -> None:
        super().__init__(base_url, interpret=interpret, headers=headers)
        self._tokens = tokens

    def send(self, method: str, path: str, **request: Any) -> requests.Response:
        """As `Client.send`; a token that has ended is renewed once, and the request sent again (google.md 3.6)."""
        try:
            return self._signed(method, path, request)
        except ExpiredError:
            if not self._tokens.renew():
                raise
            return self._signed(method, path, request)

    def _signed(self, method: str, path: str, request: dict[str, Any]) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._tokens.current().reveal()}"} | request.get("headers", {})
        return super().send(method, path, **request | {"headers": headers})


def connect(settings: Settings, *, ads: bool = False) -> SignedClient:
    """A client of the Data Manager API, or of the Google Ads API; the path to the account goes in headers."""
    headers = {} if settings.quota_project is None else {"x-goog-user-project": settings.quota_project}
    tokens = Tokens(settings)
    if ads:
        login = settings.login_account
        headers |= {} if login is None else {"login-customer-id": login.number}
        return SignedClient(settings.ads_url, tokens, headers)
    # Calls that take members ignore these: there the path is in the destination (google.md 2).
    for name, account in (("login-account", settings.login_account), ("linked-account", settings.linked_account)):
        headers |= {} if account is None else {name: account.path}
    return SignedClient(settings.base_url, tokens, headers)


def user_lists(settings: Settings) -> str:
    """The path of the account's user lists."""
    return f"/v1/{settings.operating_account.path}/userLists"


def entries(client: Client, settings: Settings, chosen: str = "") -> Iterator[UserList]:
    """The account's user lists that a filter (AIP-160) chooses, or all, to the last page."""
    params: dict[str, Any] = {"pageSize": PAGE} | ({"filter": chosen} if chosen else {})
    while True:
        page = shaped(client.read(user_lists(settings), params=params), _Page)
        yield from page.user_lists
        if page.next_page_token in ("", params.get("pageToken")):
            return
        params["pageToken"] = page.next_page_token


def shaped(answer: Any, kind: type[T]) -> T:
    """The answer as its type; TransientError for another shape, which only a broken server gives."""
    try:
        return msgspec.convert(answer, kind, strict=False)
    except msgspec.ValidationError:
        raise TransientError("Google answered with JSON of an unexpected shape") from None
