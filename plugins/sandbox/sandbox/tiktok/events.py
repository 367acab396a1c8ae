"""Events API 2.0: server events of a pixel, an app, an offline or a CRM set (contract 7)."""

from typing import Any

import msgspec

from sandbox.tiktok.calls import Call
from sandbox.tiktok.config import EventSource
from sandbox.tiktok.directory import EVENT_EMAIL
from sandbox.tiktok.errors import forbidden, invalid, missing
from sandbox.tiktok.hashes import SHA256
from sandbox.tiktok.state import Twin

MAX_EVENTS = 1_000
LATEST_SECONDS = 10_000_000_000
"""A larger number is a time in milliseconds."""

STANDARD = {
    "AddPaymentInfo",
    "AddToCart",
    "AddToWishlist",
    "ApplicationApproval",
    "CompletePayment",
    "CompleteRegistration",
    "Contact",
    "CustomizeProduct",
    "Download",
    "FindLocation",
    "InitiateCheckout",
    "Lead",
    "PlaceAnOrder",
    "Purchase",
    "Schedule",
    "Search",
    "StartTrial",
    "SubmitApplication",
    "SubmitForm",
    "Subscribe",
    "ViewContent",
}
"""Offline sets take these only, CRM sets all but these; the contract does not list them."""


class _User(msgspec.Struct):
    email: str | list[str] | None = None
    phone: str | list[str] | None = None
    external_id: str | list[str] | None = None
    ttclid: str | None = None
    ttp: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    idfa: str | None = None
    gaid: str | None = None


class _Content(msgspec.Struct):
    content_id: str | None = None
    content_name: str | None = None
    content_category: str | None = None
    brand: str | None = None
    quantity: float | None = None
    price: float | None = None


class _Properties(msgspec.Struct):
    currency: str | None = None
    value: float | None = None
    content_type: str | None = None
    order_id: str | None = None
    contents: list[_Content] = []


class _Page(msgspec.Struct):
    url: str | None = None
    referrer: str | None = None


class _Event(msgspec.Struct):
    event: str
    event_time: int
    event_id: str | None = None
    user: _User = msgspec.field(default_factory=_User)
    properties: _Properties = msgspec.field(default_factory=_Properties)
    page: _Page | None = None
    lead: dict[str, Any] | None = None
    limited_data_use: bool | None = None


class _Request(msgspec.Struct):
    event_source: EventSource
    event_source_id: str
    data: list[_Event]
    test_event_code: str | None = None


class _Listing(msgspec.Struct):
    advertiser_id: str
    code: str | None = None
    page: int = 1
    page_size: int = 10


def pixels(twin: Twin, call: Call) -> dict[str, Any]:
    """`GET pixel/list/`: the pixels of an advertiser, or the one with a code, in numbered pages."""
    wanted = call.read(_Listing)
    call.check(wanted.advertiser_id)
    advertiser = twin.config.advertisers.get(wanted.advertiser_id)
    if advertiser is None:
        raise forbidden(f"No permission to operate advertiser: {wanted.advertiser_id[:40]}")
    if not 1 <= wanted.page_size <= 20 or wanted.page < 1:
        raise invalid("page_size: Not a value from 1 to 20")
    found = [code for code in advertiser.web if wanted.code in (None, code)]
    start = (wanted.page - 1) * wanted.page_size
    pages = -(-len(found) // wanted.page_size)
    info = {"page": wanted.page, "page_size": wanted.page_size, "total_number": len(found), "total_page": pages}
    listed = [{"pixel_code": code, "pixel_name": f"Pixel {code}"} for code in found[start : start + wanted.page_size]]
    return {"page_info": info, "pixels": listed}


def track(twin: Twin, call: Call) -> dict[str, Any]:
    """`POST event/track/`: 1 to 1,000 events; one bad event spoils the request."""
    wanted = call.read(_Request)
    _check_source(twin, call, wanted)
    if not 1 <= len(wanted.data) <= MAX_EVENTS:
        raise invalid(f"data: Not a list of 1 to {MAX_EVENTS} events")
    for number, event in enumerate(wanted.data):
        _check(wanted.event_source, event, f"Batch.{number}")
    for event in wanted.data:
        _store(twin, wanted, event)
    return {}


def _check_source(twin: Twin, call: Call, wanted: _Request) -> None:
    reached = call.grant.advertisers
    mine = (one for name, one in twin.config.advertisers.items() if reached is None or name in reached)
    if not any(wanted.event_source_id in getattr(one, wanted.event_source) for one in mine):
        raise forbidden(f"No permission to operate pixel code: {wanted.event_source_id[:40]}")


def _check(source: EventSource, event: _Event, place: str) -> None:
    if not event.event:
        raise missing(f"{place}.event")
    if not 0 < event.event_time < LATEST_SECONDS:
        raise invalid(f"{place}.event_time: Not a valid time in seconds")
    if source == "web" and not (event.page and event.page.url):
        raise missing(f"{place}.page.url")
    if source == "offline" and event.event not in STANDARD:
        raise invalid(f"{place}.event: Not a standard event")
    if source == "crm" and event.event in STANDARD:
        raise invalid(f"{place}.event: Not a custom event")
    if event.lead is not None and source != "crm":
        raise invalid(f"{place}.lead: Not a valid field of {source} events")
    if event.limited_data_use is not None and source not in ("web", "app"):
        raise invalid(f"{place}.limited_data_use: Not a valid field of {source} events")
    if event.user.external_id and source not in ("web", "crm"):
        raise invalid(f"{place}.user.external_id: Not a valid field of {source} events")
    for name in ("email", "phone", "external_id"):
        if not all(SHA256.fullmatch(value) for value in _values(getattr(event.user, name))):
            raise invalid(f"{place}.user.{name}: Not a valid SHA-256")


def _values(value: str | list[str] | None) -> list[str]:
    if not value:
        return []
    return [value] if isinstance(value, str) else value


def _store(twin: Twin, wanted: _Request, event: _Event) -> None:
    """Record an event without personal values; the same source, name and id again is a duplicate."""
    key = (wanted.event_source_id, event.event, event.event_id or "")
    duplicate = bool(event.event_id) and key in twin.event_keys
    if event.event_id:
        twin.event_keys.add(key)
    owners = twin.directory.owners
    found = [owners[EVENT_EMAIL].get(value) for value in _values(event.user.email)]
    found += [owners["PHONE_SHA256"].get(value) for value in _values(event.user.phone)]
    person = next((twin.directory.ids[number] for number in found if number is not None), None)
    about: dict[str, Any] = {"pixel_id": wanted.event_source_id, "event_name": event.event, "event_id": event.event_id}
    about |= {"event_time": event.event_time, "action_source": wanted.event_source, "person_id": person}
    about |= {"test": wanted.test_event_code is not None, "duplicate": duplicate, "received": int(twin.clock.now())}
    twin.events.append(about | {"custom_data": event.properties})
