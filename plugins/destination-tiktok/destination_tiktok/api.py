"""Calls the TikTok API: the token, lists, and what an audience says about itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from cdp_bridge.sdk import Client

from destination_tiktok.errors import interpret
from destination_tiktok.settings import Settings

T = TypeVar("T")
VERSION = "/open_api/v1.3"
LIST = "/dmp/custom_audience/list/"
PAGE = 100
JSON = {"Content-Type": "application/json"}


class Answer(msgspec.Struct, Generic[T]):
    """An answer with what was asked for."""

    data: T


class Result(msgspec.Struct):
    """An answer to a write: what was done in part has another code than 0, and data that may say more."""

    code: int
    data: Any = None


class CustomAudience(msgspec.Struct):
    """What an audience says about itself; `cover_num` is 0 while it is unknown or below TikTok's minimum.

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
    audiences: list[CustomAudience] = msgspec.field(name="list")


class _Pixels(msgspec.Struct):
    pixels: list[Any]


def connect(settings: Settings) -> Client:
    """A client that sends the token with each call, as a header of TikTok's own (tiktok.md 1)."""
    headers = {"Access-Token": settings.access_token.reveal()}
    return Client(settings.base_url + VERSION, interpret=interpret, headers=headers)


def custom_audiences(client: Client, settings: Settings, ids: Sequence[str] = ()) -> Iterator[CustomAudience]:
    """Every audience of the advertiser, or those with the given ids that are still there."""
    chosen = {"custom_audience_ids": msgspec.json.encode(ids).decode()} if ids else {}
    params = _page_params(settings, PAGE) | chosen
    for page in client.pages(LIST, _following, type=Answer[_Page], params=params):
        yield from page.data.audiences


def count(client: Client, settings: Settings) -> int:
    """How many audiences the advertiser has."""
    return client.read(LIST, params=_page_params(settings, 1), type=Answer[_Page]).data.page_info.total_number


def is_pixel(client: Client, settings: Settings) -> bool:
    """Whether the event source is a pixel of the advertiser."""
    params = {"advertiser_id": settings.advertiser_id, "code": settings.event_source_id}
    return bool(client.read("/pixel/list/", params=params, type=Answer[_Pixels]).data.pixels)


def _page_params(settings: Settings, size: int) -> dict[str, Any]:
    return {"advertiser_id": settings.advertiser_id, "page": 1, "page_size": size}


def _following(page: Answer[_Page], params: Mapping[str, Any]) -> dict[str, int] | None:
    return {"page": params["page"] + 1} if params["page"] < page.data.page_info.total_page else None
