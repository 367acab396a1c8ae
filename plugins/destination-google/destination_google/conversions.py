"""Sends conversions as events to conversion actions; what Google would refuse is refused before (google.md 11)."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from cdp_bridge.sdk import Batch, Client, ConfigError, Conversion, Limits, Outcome, RejectedError, Stream
from msgspec import Struct

from destination_google.data_manager import DataManager, consent, destination, identifier
from destination_google.errors import MembersError
from destination_google.members import MAX_IDENTIFIERS, NO_IDENTIFIER, SCHEMA, Identifier, identifiers_of
from destination_google.settings import Settings

INGEST = "/v1/events:ingest"

SOURCES = {"web": "WEB", "app": "APP", "store": "IN_STORE", "crm": "OTHER"}
"""Where it happened, as `eventSource`."""

CLICKS = ("gclid", "gbraid", "wbraid")
"""An event has one click id: the first of these."""

SKEW = 60
"""Seconds that a clock may be ahead of Google's."""

STREAM = Stream(
    name="conversions",
    profile="google",
    operations=("track",),
    matching_keys=SCHEMA,
    # The requests of a Cloud project are those of all its calls (google.md 4.5).
    limits=Limits(rows=2_000, bytes=2_500_000, requests=240, seconds=60),
)


class Request(Struct, frozen=True):
    """The request of one batch: whose conversions are in it, and which are refused, with the reason."""

    keys: list[bytes]
    refused: dict[bytes, str]
    events: list[_Event]

    def without(self, named: Mapping[int, str]) -> Request:
        """The others, where some positions are refused."""
        rest = [i for i in range(len(self.keys)) if i not in named]
        reasons = {self.keys[i]: reason for i, reason in named.items() if i < len(self.keys)}
        return Request([self.keys[i] for i in rest], self.refused | reasons, [self.events[i] for i in rest])


class _Item(Struct, rename="camel", omit_defaults=True):
    """A product, by its id in Merchant Center; Google counts whole pieces only, and wants numbers of them as text."""

    merchant_product_id: str
    quantity: str | None = None
    unit_price: float | None = None


class _Event(Struct, rename="camel", omit_defaults=True):
    """An event in Google's words."""

    destination_references: list[str]
    transaction_id: str
    event_timestamp: datetime
    event_source: str
    user_data: dict[str, Any] = {}
    ad_identifiers: dict[str, str] = {}
    currency: str | None = None
    conversion_value: float | None = None
    event_device_info: dict[str, str] = {}
    cart_data: dict[str, list[_Item]] = {}


def write(client: Client, settings: Settings, batch: Batch) -> Outcome:
    """Send what can be sent as one request; what becomes of it, Google says half an hour later at the earliest.

    One bad event costs the whole request (google.md 4.4): where Google names it, the others are sent again at once. A
    transaction counts once. Raises ConfigError when no conversion action is set.
    """
    sent = request(settings, batch)
    try:
        return _sent(client, settings, sent)
    except MembersError as error:
        others = sent.without(error.members)
        if len(others.keys) == len(sent.keys):
            raise
    return _sent(client, settings, others)


def body(settings: Settings, events: Sequence[_Event]) -> dict[str, Any]:
    """The body of a request; each event names its conversion action among the destinations."""
    actions = sorted({action for event in events for action in event.destination_references})
    made: dict[str, Any] = {
        "destinations": [{**destination(settings, action), "reference": action} for action in actions],
        "events": events,
        "encoding": "HEX",
    }
    if given := consent(settings):
        made["consent"] = given
    if settings.test_mode:
        made["validateOnly"] = True
    return made


def request(settings: Settings, batch: Batch) -> Request:
    """The conversions that Google can take, the others with the reason.

    Raises ConfigError when no conversion action is set.
    """
    if not settings.conversion_actions:
        remedy = 'Name the conversion action of each event by its number, as in {"purchase": "7631611119"}'
        raise ConfigError("conversions need conversion actions", place="settings.conversion_actions", remedy=remedy)
    keys, events, now = [], [], time.time()
    people, refused = identifiers_of(batch)
    for key, event, person in zip(batch.keys, batch.events, people, strict=True):
        if key in refused:
            continue
        if reason := _refusal(settings, event, person, now):
            refused[key] = reason
        else:
            keys.append(key)
            events.append(_event(settings, event, person))
    return Request(keys, refused, events)


def _sent(client: Client, settings: Settings, sent: Request) -> Outcome:
    if not sent.keys:
        return Outcome(rejected=sent.refused)
    pending = DataManager(client, settings).post(INGEST, body(settings, sent.events))
    if settings.test_mode:
        return Outcome(rejected=sent.refused, unknown=frozenset(sent.keys))
    return Outcome(rejected=sent.refused, pending=pending)


def validate(client: Client, settings: Settings) -> None:
    """Let Google look at a made-up event of each conversion action; it keeps none.

    Raises ConfigError when it would not take them.
    """
    made_up: list[Identifier] = [("email", hashlib.sha256(uuid.uuid4().bytes).hexdigest())]
    events = [
        _event(settings, Conversion(event_id="check", event_name=name, occurred_at=time.time()), made_up)
        for name in settings.conversion_actions
    ]
    try:
        client.call("POST", INGEST, json=msgspec.to_builtins({**body(settings, events), "validateOnly": True}))
    except RejectedError as error:
        raise ConfigError(error.problem, place="settings.conversion_actions", remedy="Check their numbers") from None


def _refusal(settings: Settings, event: Conversion, person: Sequence[Identifier], now: float) -> str | None:
    """Why Google would refuse an event, and with it the whole request."""
    if event.event_name not in settings.conversion_actions:
        return "google:event_name"
    if event.occurred_at > now + SKEW:
        return "google:future"
    if not person and not _click(event):
        return NO_IDENTIFIER
    return None


def _event(settings: Settings, event: Conversion, person: Sequence[Identifier]) -> _Event:
    """An IP address is not sent: Google must not get those of people in Europe, and nobody says who they are."""
    made = _Event(
        destination_references=[settings.conversion_actions[event.event_name]],
        # The tag of a website sends the order, so that the same conversion is known again (google.md 11.1).
        transaction_id=event.order_id or event.event_id,
        event_timestamp=datetime.fromtimestamp(event.occurred_at, UTC),
        event_source=SOURCES[event.source],
        ad_identifiers=_click(event),
        currency=event.currency,
        conversion_value=event.value,
    )
    if person:
        made.user_data = {"userIdentifiers": list(map(identifier, person[:MAX_IDENTIFIERS]))}
    if event.user_agent:
        made.event_device_info = {"userAgent": event.user_agent}
    if event.items:
        made.cart_data = {"items": [_Item(item.id, _text(item.whole_quantity), item.price) for item in event.items]}
    return made


def _click(event: Conversion) -> dict[str, str]:
    ids = [{name: event.click_ids[name]} for name in CLICKS if event.click_ids.get(name)]
    return ids[0] if ids else {}


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
