"""Calls Google's APIs: credentials, lists, and what a user list says about itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec
from cdp_bridge.sdk import Client

from destination_google.credentials import fetch_token
from destination_google.errors import interpret
from destination_google.settings import AccessToken, Settings

PAGE = 1_000
JSON = {"Content-Type": "application/json"}


class Size(msgspec.Struct, rename="camel"):
    """Active people whom a network reaches, rounded; 0 while unknown or below Google's minimum."""

    display_network_members_count: int = 0
    search_network_members_count: int = 0
    youtube_members_count: int = 0
    gmail_members_count: int = 0

    @property
    def largest(self) -> int:
        """In the network that reaches most of them."""
        largest = max(self.display_network_members_count, self.search_network_members_count)
        return max(largest, self.youtube_members_count, self.gmail_members_count)


class _ContactInfo(msgspec.Struct, rename="camel"):
    match_rate_percentage: int | None = None


class _IngestedInfo(msgspec.Struct, rename="camel"):
    contact_id_info: _ContactInfo = msgspec.field(default_factory=_ContactInfo)


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
    ingested_user_list_info: _IngestedInfo = msgspec.field(default_factory=_IngestedInfo)

    @property
    def match_rate(self) -> tuple[float, float] | None:
        """The share of those sent who have a Google account: not what the size counts, active people (google.md 5)."""
        percentage = self.ingested_user_list_info.contact_id_info.match_rate_percentage
        return None if percentage is None else (percentage / 100, percentage / 100)


class _Page(msgspec.Struct, rename="camel"):
    user_lists: list[UserList] = []
    next_page_token: str = ""

    def following(self, _: object) -> dict[str, str] | None:
        return {"pageToken": self.next_page_token} if self.next_page_token else None


def connect(settings: Settings, *, ads: bool = False) -> Client:
    """A client of the Data Manager API, or of the Google Ads API; the path to the account goes in headers."""
    headers = {} if settings.quota_project is None else {"x-goog-user-project": settings.quota_project}
    url, login, linked = settings.base_url, settings.login_account, settings.linked_account
    if ads:
        url = settings.ads_url
        headers |= {} if login is None else {"login-customer-id": login.number}
    else:
        # Calls that take members ignore these: there the path is in the destination (google.md 2).
        headers |= {} if login is None else {"login-account": login.path}
        headers |= {} if linked is None else {"linked-account": linked.path}
    credentials = settings.credentials
    if isinstance(credentials, AccessToken):
        headers["Authorization"] = f"Bearer {credentials.access_token.reveal()}"
        return Client(url, interpret=interpret, headers=headers)
    return Client(url, interpret=interpret, headers=headers, token=partial(fetch_token, credentials, settings))


def user_lists_path(settings: Settings) -> str:
    """The path of the account's user lists."""
    return f"/v1/{settings.operating_account.path}/userLists"


def user_lists(client: Client, settings: Settings, chosen: str = "") -> Iterator[UserList]:
    """Every user list of the account, or those that a filter (AIP-160) chooses."""
    params: dict[str, Any] = {"pageSize": PAGE} | ({"filter": chosen} if chosen else {})
    for page in client.pages(user_lists_path(settings), _Page.following, type=_Page, params=params):
        yield from page.user_lists
