"""Conversions API: server events, refused as a whole when one is wrong (contract 6)."""

import re
from typing import Any

import msgspec

from sandbox.meta.calls import Call
from sandbox.meta.errors import invalid, trace_id
from sandbox.meta.state import Twin

MAX_EVENTS = 1_000
DAY = 24 * 3600
MAX_AGE = 7 * DAY
MAX_AGE_PHYSICAL_STORE = 62 * DAY
CLOCK_SKEW = 60
LATEST_SECONDS = 10**11
DEDUP = 48 * 3600
LDU_PAIRS = ((1, 1000), (1, 0), (0, 0))
HASHED = ("em", "ph", "fn", "ln", "db", "ge", "ct", "st", "zp", "country")
PLAIN = (
    "external_id",
    "client_user_agent",
    "fbc",
    "fbp",
    "subscription_id",
    "fb_login_id",
    "lead_id",
    "madid",
    "anon_id",
    "page_id",
    "ctwa_clid",
)
ACTION_SOURCES = (
    "email",
    "website",
    "app",
    "phone_call",
    "chat",
    "physical_store",
    "system_generated",
    "business_messaging",
    "other",
)
APP_DATA = {"advertiser_tracking_enabled", "application_tracking_enabled", "extinfo"}
_HASH = re.compile("[0-9a-f]{64}")


def read(twin: Twin, call: Call, pixel_id: str) -> dict[str, Any]:
    """`GET /{pixel}`."""
    known = {"id": pixel_id, "name": f"Pixel {pixel_id}"}
    for name in call.fields():
        if name not in known:
            raise invalid(f"Tried accessing nonexisting field ({name[:60]}) on node type (AdsPixel)")
    return {name: known[name] for name in call.fields()} | {"id": pixel_id}


def receive(twin: Twin, call: Call, pixel_id: str) -> dict[str, Any]:
    """`POST /{pixel}/events`: `data` as list of objects or list of JSON texts."""
    events = _events(call)
    now = twin.clock.now()
    for number, event in enumerate(events):
        _check(event, number, now)
    for event in events:
        _store(twin, call, pixel_id, event)
    return {"events_received": len(events), "messages": [], "fbtrace_id": trace_id()}


def _events(call: Call) -> list[dict[str, Any]]:
    data = call.value("data")
    if not isinstance(data, list) or not 1 <= len(data) <= MAX_EVENTS:
        raise invalid(f"Param data must be an array of 1 to {MAX_EVENTS} events")
    try:
        events = [msgspec.json.decode(event) if isinstance(event, str) else event for event in data]
    except msgspec.DecodeError:
        raise invalid("Param data must hold events as JSON") from None
    if not all(isinstance(event, dict) for event in events):
        raise invalid("Param data must hold events as objects")
    return events


def _check(event: dict[str, Any], number: int, now: float) -> None:
    """Raises GraphError 100 that names the event by its place in `data`."""
    place = f"data[{number}]"
    if not event.get("event_name") or not isinstance(event["event_name"], str):
        raise invalid(f"{place}[event_name] is required")
    if event.get("action_source") not in ACTION_SOURCES:
        raise invalid(f"{place}[action_source] must be one of {ACTION_SOURCES}")
    _check_time(event, place, now)
    _check_user(event, place)
    _check_purchase(event, place)
    _check_app(event, place)
    _check_options(event, place)


def _check_time(event: dict[str, Any], place: str, now: float) -> None:
    time = event.get("event_time")
    if not isinstance(time, int) or isinstance(time, bool) or time >= LATEST_SECONDS:
        raise invalid(f"{place}[event_time] must be a unix time in seconds")
    age = MAX_AGE_PHYSICAL_STORE if event["action_source"] == "physical_store" else MAX_AGE
    if not now - age <= time <= now + CLOCK_SKEW:
        raise invalid(f"{place}[event_time] is too old or in the future", 2804003)


def _check_user(event: dict[str, Any], place: str) -> None:
    user = event.get("user_data")
    if not isinstance(user, dict) or not any(any(values_of(user, key)) for key in HASHED + PLAIN):
        raise invalid(f"{place}[user_data] does not hold enough customer information", 2804050)
    for key in HASHED:
        if not all(isinstance(value, str) and _HASH.fullmatch(value) for value in values_of(user, key)):
            raise invalid(f"{place}[user_data][{key}] must be a SHA-256 in lower-case hex")
    website = event["action_source"] == "website"
    if website and not (event.get("event_source_url") and user.get("client_user_agent")):
        raise invalid(f"{place} is a website event and needs event_source_url and user_data[client_user_agent]")


def _check_purchase(event: dict[str, Any], place: str) -> None:
    custom = event.get("custom_data") or {}
    if not isinstance(custom, dict):
        raise invalid(f"{place}[custom_data] must be an object")
    if event["event_name"] != "Purchase":
        return
    if not isinstance(custom.get("value"), int | float):
        raise invalid(f"{place}[custom_data][value] is required for a Purchase", 2804009)
    if not custom.get("currency"):
        raise invalid(f"{place}[custom_data][currency] is required for a Purchase")


def _check_app(event: dict[str, Any], place: str) -> None:
    """By the page on app data parameters, which the contract does not repeat."""
    about = event.get("app_data") or {}
    if event["action_source"] == "app" and not (isinstance(about, dict) and about.keys() >= APP_DATA):
        raise invalid(f"{place}[app_data] must hold {', '.join(sorted(APP_DATA))}")


def _check_options(event: dict[str, Any], place: str) -> None:
    options = event.get("data_processing_options", [])
    pair = (
        event.get("data_processing_options_country", 0) or 0,
        event.get("data_processing_options_state", 0) or 0,
    )
    if options not in ([], ["LDU"], None) or pair not in LDU_PAIRS:
        raise invalid(f"{place}[data_processing_options] is not one of the published combinations")


def values_of(user: dict[str, Any], key: str) -> list[Any]:
    """The values of a key that may be a string or a list."""
    value = user.get(key)
    if value in (None, ""):
        return []
    return value if isinstance(value, list) else [value]


def _store(twin: Twin, call: Call, pixel_id: str, event: dict[str, Any]) -> None:
    """Record an event without personal values; the same name and id within 48 hours is a duplicate."""
    now, user = twin.clock.now(), event["user_data"]
    event_id = str(event.get("event_id") or "")
    key = (pixel_id, event["event_name"], event_id)
    duplicate = bool(event_id) and now - twin.event_keys.get(key, float("-inf")) < DEDUP
    if event_id and not duplicate:
        twin.event_keys[key] = now
    people = [
        _owner(twin, user, name, strong) for name, strong in (("em", "EMAIL"), ("ph", "PHONE"), ("madid", "MADID"))
    ]
    person = next((twin.directory.ids[number] for number in people if number is not None), None)
    about = {"pixel_id": pixel_id, "event_name": event["event_name"], "event_id": event_id or None}
    about |= {"event_time": event["event_time"], "action_source": event["action_source"], "person_id": person}
    about |= {"test": call.text("test_event_code") is not None, "duplicate": duplicate, "received": int(now)}
    twin.events.append(about | {"custom_data": event.get("custom_data") or {}})


def _owner(twin: Twin, user: dict[str, Any], name: str, strong: str) -> int | None:
    owners = (twin.directory.owners[strong].get(value) for value in values_of(user, name))
    return next((owner for owner in owners if owner is not None), None)
