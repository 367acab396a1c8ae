"""Sends conversions as events to the dataset; what Meta would refuse is refused before (meta.md 6)."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from cdp_bridge.sdk import Batch, Client, ConfigError, Conversion, Limits, Outcome, Stream
from msgspec import Struct

from destination_meta.api import JSON
from destination_meta.members import LDU_CELLS, NO_IDENTIFIER
from destination_meta.settings import Settings
from destination_meta.usage import pause

EVENTS = {
    "add_payment_info": "AddPaymentInfo",
    "add_to_cart": "AddToCart",
    "add_to_wishlist": "AddToWishlist",
    "begin_checkout": "InitiateCheckout",
    "contact": "Contact",
    "customize_product": "CustomizeProduct",
    "donate": "Donate",
    "find_location": "FindLocation",
    "lead": "Lead",
    "page_view": "PageView",
    "purchase": "Purchase",
    "schedule": "Schedule",
    "search": "Search",
    "sign_up": "CompleteRegistration",
    "start_trial": "StartTrial",
    "submit_application": "SubmitApplication",
    "subscribe": "Subscribe",
    "view_item": "ViewContent",
}
"""Our names of the standard events in the reference of the Meta Pixel; any other name goes as a custom event."""

SOURCES = {"web": "website", "store": "physical_store", "crm": "system_generated"}
"""Where it happened, as `action_source`. Of an app Meta demands facts about the device that no CDP has."""

USER_DATA = {
    "email": "em",
    "phone": "ph",
    "first_name": "fn",
    "last_name": "ln",
    "date_of_birth": "db",
    "gender": "ge",
    "city": "ct",
    "region": "st",
    "postal_code": "zp",
    "country": "country",
    "mobile_ad_id": "madid",
    "external_id": "external_id",
}
"""Column of the profile `meta-events` -> key of `user_data`."""

BROWSER = {"client_ip_address", "client_user_agent"}
"""Only both of them together say who it was."""

MAX_EVENTS, MAX_BYTES = 1_000, 1_000_000
DAY = 24 * 3600
MAX_AGE = {"web": 7 * DAY, "crm": 7 * DAY, "store": 62 * DAY}
SKEW = 60
"""Seconds that a clock may be ahead of Meta's."""

STREAM = Stream(
    name="conversions",
    profile="meta-events",
    operations=("track",),
    matching_keys=tuple(USER_DATA),
    limits=Limits(rows=MAX_EVENTS, bytes=MAX_BYTES),
)


class Request(Struct, frozen=True):
    """The request of one batch: whose conversions are in it, and which are refused, with the reason."""

    keys: list[bytes]
    refused: dict[bytes, str]
    body: bytes


class _Content(Struct, omit_defaults=True):
    """A product; Meta counts whole pieces only."""

    id: str
    quantity: int | None = None
    item_price: float | None = None


class _CustomData(Struct, omit_defaults=True):
    """What it was about."""

    value: float | None = None
    currency: str | None = None
    order_id: str | None = None
    content_type: str | None = None
    content_ids: list[str] = []
    contents: list[_Content] = []


class _Event(Struct, omit_defaults=True):
    """A server event in Meta's words; `event_time` in seconds since 1970."""

    event_name: str
    event_time: int
    event_id: str
    action_source: str
    user_data: dict[str, Any]
    custom_data: _CustomData
    event_source_url: str | None = None
    data_processing_options: list[str] = []
    data_processing_options_country: int | None = None
    data_processing_options_state: int | None = None


class _Received(Struct):
    """What Meta says of a request."""

    events_received: int


def write(client: Client, settings: Settings, batch: Batch) -> Outcome:
    """Send what can be sent as one request, of which Meta takes all or nothing; an event id counts once in 48 hours.

    Raises ConfigError when no dataset is set.
    """
    target, sent = path(settings), request(settings, batch)
    if not sent.keys:
        return Outcome(rejected=sent.refused)
    response = client.send("POST", target, data=sent.body, headers=JSON)
    received = Client.decode(response, type=_Received).events_received
    unknown = frozenset[bytes]() if received == len(sent.keys) else frozenset(sent.keys)
    return Outcome(rejected=sent.refused, unknown=unknown, pause=pause(response.headers))


def path(settings: Settings) -> str:
    """Where conversions go. Raises ConfigError when no dataset is set."""
    if settings.dataset_id is None:
        remedy = "Set it to the id of the dataset (pixel) in Events Manager"
        raise ConfigError("conversions need a dataset", place="settings.dataset_id", remedy=remedy)
    return f"/{settings.dataset_id}/events"


def request(settings: Settings, batch: Batch) -> Request:
    """The conversions that Meta can take as the body of a request, the others with the reason."""
    keys, refused, data, now = [], {}, [], time.time()
    for i, (key, event) in enumerate(zip(batch.keys, batch.events, strict=True)):
        user = _user_data(batch, i)
        if reason := _refusal(event, user, now):
            refused[key] = reason
        else:
            keys.append(key)
            data.append(_event(settings, event, user))
    test = {"test_event_code": settings.test_event_code} if settings.test_event_code else {}
    return Request(keys, refused, msgspec.json.encode({"data": data, **test}))


def _refusal(event: Conversion, user: dict[str, Any], now: float) -> str | None:
    """Why Meta would refuse an event, and with it the whole request."""
    if event.source not in SOURCES:
        return "meta:app"
    if now - event.occurred_at > MAX_AGE[event.source]:
        return "meta:too_old"
    if event.occurred_at > now + SKEW:
        return "meta:future"
    if event.source == "web" and not event.url:
        return "meta:no_url"
    if event.source == "web" and not event.user_agent:
        return "meta:no_user_agent"
    if user.keys() < BROWSER:
        return NO_IDENTIFIER
    if _name(event) == "Purchase" and event.value is None:
        return "meta:no_value"
    if _name(event) == "Purchase" and not event.currency:
        return "meta:no_currency"
    return None


def _user_data(batch: Batch, i: int) -> dict[str, Any]:
    """Everything that says who it was."""
    event = batch.events[i]
    user: dict[str, Any] = {
        USER_DATA[column]: list(values[i]) for column, values in batch.identifiers.items() if column in USER_DATA
    }
    user["madid"] = next(iter(user.get("madid", ())), None)
    user |= {name: event.click_ids.get(name) for name in ("fbc", "fbp")}
    user |= {"client_ip_address": event.ip_address, "client_user_agent": event.user_agent}
    return {name: value for name, value in user.items() if value}


def _event(settings: Settings, event: Conversion, user: dict[str, Any]) -> _Event:
    options, country, state = LDU_CELLS.get(settings.limited_data_use, ([], None, None))
    return _Event(
        event_name=_name(event),
        event_time=int(event.occurred_at),
        event_id=event.event_id,
        action_source=SOURCES[event.source],
        user_data=user,
        custom_data=_custom_data(event),
        event_source_url=event.url,
        data_processing_options=options,
        data_processing_options_country=country,
        data_processing_options_state=state,
    )


def _name(event: Conversion) -> str:
    return EVENTS.get(event.event_name, event.event_name)


def _custom_data(event: Conversion) -> _CustomData:
    about = _CustomData(value=event.value, currency=event.currency, order_id=event.order_id)
    if event.items:
        about.content_type, about.content_ids = "product", [item.id for item in event.items]
        about.contents = [_Content(item.id, item.whole_quantity, item.price) for item in event.items]
    return about
