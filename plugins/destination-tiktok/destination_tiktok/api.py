"""Calls to the API: the token, numbered pages, and answers with a known shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec
from cdp_bridge.sdk import Client, TransientError

from destination_tiktok.errors import interpret
from destination_tiktok.settings import Settings

T = TypeVar("T")
VERSION = "/open_api/v1.3"
PAGE = 100


class Entry(msgspec.Struct):
    """An audience as the list tells it; `cover_num` is 0 while it is unknown or below TikTok's minimum.

    `expired_time` is in UTC, as in `2027-11-01 08:00:00`.
    """

    audience_id: str
    name: str = ""
    audience_type: str = ""
    cover_num: int = 0
    is_valid: bool = False
    is_expiring: bool = False
    expired_time: str = ""
    error_msg: str | None = None


class _PageInfo(msgspec.Struct):
    total_number: int = 0
    total_page: int = 0


class _Page(msgspec.Struct):
    page_info: _PageInfo
    audiences: list[Entry] = msgspec.field(name="list")


class _Pixels(msgspec.Struct):
    pixels: list[dict[str, Any]]


def connect(settings: Settings) -> Client:
    """A client that sends the token with each call, as a header of TikTok's own (tiktok.md 1)."""
    headers = {"Access-Token": settings.access_token.reveal()}
    return Client(settings.base_url + VERSION, interpret=interpret, headers=headers)


def entries(client: Client, settings: Settings, only: Sequence[str] = ()) -> Iterator[Entry]:
    """Every audience of the advertiser, or those with the given ids that are still there."""
    number, last = 1, 1
    while number <= last:
        page = _page(client, settings, number, PAGE, only)
        yield from page.audiences
        number, last = number + 1, page.page_info.total_page


def count(client: Client, settings: Settings) -> int:
    """How many audiences the advertiser has."""
    return _page(client, settings, 1, 1).page_info.total_number


def is_pixel(client: Client, settings: Settings) -> bool:
    """Whether the event source is a pixel of the advertiser."""
    params = {"advertiser_id": settings.advertiser_id, "code": settings.event_source_id}
    return bool(shaped(client.read("/pixel/list/", params=params), _Pixels).pixels)


def _page(client: Client, settings: Settings, number: int, size: int, only: Sequence[str] = ()) -> _Page:
    params: dict[str, Any] = {"advertiser_id": settings.advertiser_id, "page": number, "page_size": size}
    if only:
        params["custom_audience_ids"] = msgspec.json.encode(only).decode()
    return shaped(client.read("/dmp/custom_audience/list/", params=params), _Page)


def shaped(answer: Any, kind: type[T]) -> T:
    """The `data` of an answer as its type; TransientError for another shape, which only a broken server gives."""
    try:
        return msgspec.convert(answer.get("data"), kind)
    except msgspec.ValidationError:
        raise TransientError("TikTok answered with JSON of an unexpected shape") from None
