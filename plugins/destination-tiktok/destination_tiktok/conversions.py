"""Sends conversions as events to the event source; what TikTok would refuse is refused before (tiktok.md 7)."""

from __future__ import annotations

from typing import Any

import msgspec
from cdp_bridge.sdk import Batch, Client, ConfigError, Conversion, Limits, Outcome, Stream
from msgspec import Struct

from destination_tiktok.api import JSON, Result
from destination_tiktok.errors import PARTLY, DuplicateError
from destination_tiktok.members import NO_IDENTIFIER
from destination_tiktok.rate_limit import RateLimit
from destination_tiktok.settings import Settings

TRACK = "/event/track/"

EVENTS = {
    "add_payment_info": "AddPaymentInfo",
    "add_to_cart": "AddToCart",
    "add_to_wishlist": "AddToWishlist",
    "application_approval": "ApplicationApproval",
    "begin_checkout": "InitiateCheckout",
    "contact": "Contact",
    "customize_product": "CustomizeProduct",
    "download": "Download",
    "find_location": "FindLocation",
    "lead": "Lead",
    "purchase": "Purchase",
    "schedule": "Schedule",
    "search": "Search",
    "sign_up": "CompleteRegistration",
    "start_trial": "StartTrial",
    "submit_application": "SubmitApplication",
    "subscribe": "Subscribe",
    "view_item": "ViewContent",
}
"""Our names of the standard events on TikTok's help page about them; any other name goes as a custom event."""

SOURCES = {"web": "web", "app": "app", "store": "offline", "crm": "crm"}
"""Where it happened, as `event_source`; a request has one for all its events."""

USER = {
    "email": ("email",),
    "phone": ("phone",),
    "external_id": ("external_id",),
    # Nobody says whose phone it is: the id stands under both keys, and matches under its own only.
    "mobile_ad_id": ("idfa", "gaid"),
}
"""Column of the profile `tiktok-events` -> keys of `user`."""

ONLY_OF = {"external_id": ("web", "crm"), "mobile_ad_id": ("app",)}
"""The event sources that take a column, where not all do."""

BROWSER = {"ip", "user_agent"}
"""Only both of them together say who it was."""

MAX_EVENTS, MAX_BYTES = 1_000, 1_000_000

STREAM = Stream(
    name="conversions",
    profile="tiktok-events",
    operations=("track",),
    matching_keys=tuple(USER),
    # Every app has 1,000 a second and 600,000 a minute.
    limits=Limits(rows=MAX_EVENTS, bytes=MAX_BYTES, requests=800, seconds=1),
)


class Request(Struct, frozen=True):
    """The request of one batch: whose conversions are in it, and which are refused, with the reason."""

    keys: list[bytes]
    refused: dict[bytes, str]
    body: bytes


class _Content(Struct, omit_defaults=True):
    """A product; TikTok counts whole pieces only."""

    content_id: str
    quantity: int | None = None
    price: float | None = None


class _Properties(Struct, omit_defaults=True):
    """What it was about."""

    value: float | None = None
    currency: str | None = None
    order_id: str | None = None
    content_type: str | None = None
    contents: list[_Content] = []


class _Event(Struct, omit_defaults=True):
    """An event in TikTok's words; `event_time` in seconds since 1970."""

    event: str
    event_time: int
    event_id: str
    user: dict[str, Any]
    properties: _Properties
    page: dict[str, str] = {}


def write(client: Client, settings: Settings, rate_limit: RateLimit, batch: Batch) -> Outcome:
    """Send what can be sent as one request, of which TikTok takes all or nothing; an event id counts once.

    Raises ConfigError when no event source is set.
    """
    sent = request(settings, batch)
    if not sent.keys:
        return Outcome(rejected=sent.refused)
    try:
        with rate_limit.watch():
            result = client.call("POST", TRACK, data=sent.body, headers=JSON, type=Result)
    except DuplicateError:
        # Whoever sent them, they are the same events.
        return Outcome(rejected=sent.refused)
    unknown = frozenset(sent.keys) if result.code == PARTLY else frozenset[bytes]()
    return Outcome(rejected=sent.refused, unknown=unknown)


def request(settings: Settings, batch: Batch) -> Request:
    """The conversions that TikTok can take as the body of a request, the others with the reason.

    Raises ConfigError when no event source is set.
    """
    if settings.event_source_id is None:
        remedy = "Set it to the code of a pixel, or the id of an app, offline set or CRM set, in Events Manager"
        raise ConfigError("conversions need an event source", place="settings.event_source_id", remedy=remedy)
    keys, refused, data = [], {}, []
    for i, (key, event) in enumerate(zip(batch.keys, batch.events, strict=True)):
        user = _user(settings, batch, i)
        if reason := _refusal(settings, event, user):
            refused[key] = reason
        else:
            keys.append(key)
            data.append(_event(settings, event, user))
    about = {"event_source": settings.event_source, "event_source_id": settings.event_source_id, "data": data}
    test = {"test_event_code": settings.test_event_code} if settings.test_event_code else {}
    return Request(keys, refused, msgspec.json.encode({**about, **test}))


def _refusal(settings: Settings, event: Conversion, user: dict[str, Any]) -> str | None:
    """Why TikTok would refuse an event, and with it the whole request."""
    if SOURCES[event.source] != settings.event_source:
        return "tiktok:source"
    if event.source == "web" and not event.url:
        return "tiktok:no_url"
    if user.keys() < BROWSER:
        return NO_IDENTIFIER
    standard = _name(settings, event) in EVENTS.values()
    if (event.source == "store" and not standard) or (event.source == "crm" and standard):
        return "tiktok:event_name"
    return None


def _user(settings: Settings, batch: Batch, i: int) -> dict[str, Any]:
    """Everything that says who it was."""
    event = batch.events[i]
    user: dict[str, Any] = {
        key: list(values[i])
        for column, values in batch.identifiers.items()
        if column in USER and settings.event_source in ONLY_OF.get(column, SOURCES.values())
        for key in USER[column]
    }
    user |= {name: next(iter(user.get(name, ())), None) for name in USER["mobile_ad_id"]}
    user |= {name: event.click_ids.get(name) for name in ("ttclid", "ttp")}
    user |= {"ip": event.ip_address, "user_agent": event.user_agent}
    return {name: value for name, value in user.items() if value}


def _event(settings: Settings, event: Conversion, user: dict[str, Any]) -> _Event:
    return _Event(
        event=_name(settings, event),
        event_time=int(event.occurred_at),
        event_id=event.event_id,
        user=user,
        properties=_properties(event),
        page={"url": event.url} if event.source == "web" and event.url else {},
    )


def _name(settings: Settings, event: Conversion) -> str:
    """A CRM set takes custom events only, an offline set standard ones only."""
    return event.event_name if settings.event_source == "crm" else EVENTS.get(event.event_name, event.event_name)


def _properties(event: Conversion) -> _Properties:
    about = _Properties(value=event.value, currency=event.currency, order_id=event.order_id)
    if event.items:
        about.content_type = "product"
        about.contents = [_Content(item.id, item.whole_quantity, item.price) for item in event.items]
    return about
