"""Ingests events: conversions that are accepted or refused as a whole (google.md 11.1)."""

import math
import re
from collections import Counter
from typing import Any

import msgspec
from msgspec import UNSET

from sandbox.google import destinations
from sandbox.google.calls import Call
from sandbox.google.errors import Violations
from sandbox.google.identifiers import Reader
from sandbox.google.members import accept
from sandbox.google.shapes import Destination, UserData
from sandbox.google.state import Row, Target, Twin
from sandbox.google.times import seconds
from sandbox.google.transcoder import parse

MAX_EVENTS = 2_000
CLOCK_SKEW = 300
OLDEST = 90 * 86_400
"""Seconds; how old an event may be, the contract does not say, only that it may be too old."""
CLICKS = ("gclid", "gbraid", "wbraid", "dclid", "mobileDeviceId", "matchId", "impressionId", "encryptedUserIds", "ppid")
_CURRENCY = re.compile("[A-Z]{3}")


def ingest(twin: Twin, call: Call) -> dict[str, Any]:
    """`POST /v1/events:ingest`."""
    sent, found = parse(call.body, "IngestEventsRequest"), Violations()
    events, wanted = sent.get("events", []), msgspec.convert(sent.get("destinations", []), list[Destination])
    rows = _checked(twin, events, sent.get("encoding", UNSET), found)
    destinations.check(wanted, found)
    for number, event in enumerate(events):
        destinations.check_references(event.get("destinationReferences", ()), wanted, f"events.events[{number}]", found)
    found.check()
    destinations.enter(twin, call.token, wanted)
    _check_actions(twin, wanted, events)
    if sent.get("validateOnly"):
        return {}
    return accept(twin, "events", "", [_target(twin, each, events, rows) for each in wanted])


def _checked(twin: Twin, events: list[dict[str, Any]], encoding: Any, found: Violations) -> list[Row]:
    """The links of each event, after everything wrong with it was noted."""
    if not events:
        found.add("events", "REQUIRED_FIELD_MISSING", "At least one event is required.")
    if len(events) > MAX_EVENTS:
        found.add("events", "TOO_MANY_EVENTS", f"At most {MAX_EVENTS} events are allowed.")
        return []
    reader, noted = Reader(encoding, found), []
    for number, event in enumerate(events):
        place = f"events.events[{number}]"
        _check(event, place, twin.clock.now(), found)
        user = msgspec.convert(event["userData"], UserData) if "userData" in event else None
        noted.append([] if user is None else reader.user_data(user, f"{place}.user_data"))
    reader.judge()
    return [] if found.found else [Row(reader.links(each)) for each in noted]


def _check(event: dict[str, Any], place: str, now: float, found: Violations) -> None:
    if "eventTimestamp" not in event:
        found.add(f"{place}.event_timestamp", "REQUIRED_FIELD_MISSING", "The time of the event is required.")
    elif seconds(event["eventTimestamp"]) > now + CLOCK_SKEW:
        found.add(f"{place}.event_timestamp", "EVENT_TIME_INVALID", "The time of the event is in the future.")
    if not event.get("userData") and not any(event.get("adIdentifiers", {}).get(name) for name in CLICKS):
        found.add(place, "NO_IDENTIFIERS_PROVIDED", "A user identifier or an ad identifier is required.")
    if "eventSource" not in event:
        found.add(f"{place}.event_source", "REQUIRED_FIELD_MISSING", "The source of the event is required.")
    if "currency" in event and not _CURRENCY.fullmatch(event["currency"]):
        found.add(f"{place}.currency", "INVALID_CURRENCY_CODE", "The currency is not an ISO 4217 code.")
    if not math.isfinite(float(event.get("conversionValue", 0))):
        found.add(f"{place}.conversion_value", "INVALID_ARGUMENT", "The value is not a number.")
    if "thirdPartyUserData" in event:
        found.add(f"{place}.third_party_user_data", "INVALID_ARGUMENT", "Only data partners send it.")


def _check_actions(twin: Twin, wanted: list[Destination], events: list[dict[str, Any]]) -> None:
    """Raises ApiError for a destination that is no conversion action of its account."""
    found = Violations()
    for number, each in enumerate(wanted):
        place = f"destinations[{number}].product_destination_id"
        action = twin.config.conversion_actions.get(each.product_destination_id or "")
        assert each.operating_account is not UNSET
        if not each.product_destination_id:
            found.add(place, "REQUIRED_FIELD_MISSING", "The id of a conversion action is required.")
        elif action is None or action.account != each.operating_account.account_id:
            found.add(place, "INVALID_CONVERSION_ACTION_ID", "The account has no such conversion action.")
    found.check()


def _target(twin: Twin, wanted: Destination, events: list[dict[str, Any]], rows: list[Row]) -> Target:
    """Take the events that are meant for a destination: those that name it, and those that name none."""
    meant = [
        (event, row)
        for event, row in zip(events, rows, strict=True)
        if wanted.reference in event.get("destinationReferences", ()) or not event.get("destinationReferences")
    ]
    errors = Counter(filter(None, (_store(twin, wanted, event, row) for event, row in meant)))
    return Target(msgspec.to_builtins(wanted), None, [row for _, row in meant], errors)


def _store(twin: Twin, wanted: Destination, event: dict[str, Any], row: Row) -> str | None:
    """Record an event without personal values; why it does not count, if it does not.

    The same transaction of a conversion action is a duplicate.
    """
    now, happened = twin.clock.now(), seconds(event["eventTimestamp"])
    if now - happened > OLDEST:
        return "EVENT_TOO_OLD"
    key = str(wanted.product_destination_id), event.get("transactionId", "")
    duplicate = bool(key[1]) and key in twin.event_keys
    twin.event_keys.add(key)
    person = min(twin.directory.meant(row.links), default=None)
    about = {"conversion_action": key[0], "transaction_id": key[1] or None, "duplicate": duplicate}
    about |= {"event_time": int(happened), "event_source": event["eventSource"]}
    about |= {"person_id": None if person is None else twin.directory.ids[person]}
    about |= {name: event[name] for name in ("currency", "conversionValue") if name in event}
    twin.events.append(about | {"received": int(now)})
    return "DUPLICATE_TRANSACTION_ID" if duplicate else None
