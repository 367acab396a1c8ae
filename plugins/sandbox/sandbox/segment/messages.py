"""The audience messages Segment sends: one for each identifier of a member, all combinations on exit (section 5)."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

from sandbox.person import Person
from sandbox.segment.catalog import AUDIENCES, SPACE


class Style(Struct, forbid_unknown_fields=True):
    """How membership is told: identify or track calls, names of the track events, or a legacy journey (no boolean)."""

    kind: Literal["identify", "track"] = "identify"
    entered: str = "Audience Entered"
    exited: str = "Audience Exited"
    journey: bool = False
    external_audience_id: str | None = None


class Membership(Struct):
    """One person's entry to or exit from an audience at a moment."""

    person: Person
    audience_key: str
    member: bool
    at: datetime
    style: Style = field(default_factory=Style)


def messages(told: Membership) -> Iterator[dict[str, Any]]:
    """The messages that tell one membership change."""
    for identity, email in _identities(told.person, told.member):
        yield _message(told, identity, email)


def _identities(person: Person, entering: bool) -> Iterator[tuple[dict[str, str], str | None]]:
    """Entering: the main id beside each e-mail. Leaving: each id, alone and beside each e-mail."""
    emails = [entry.raw for entry in person.emails]
    ids = [{"userId": person.user_id}] if person.user_id else []
    ids.append({"anonymousId": person.anonymous_id})
    for identity in ids[:1] if entering else ids:
        yield from ((identity, email) for email in emails)
        if not entering or not emails:
            yield identity, None


def _message(told: Membership, identity: dict[str, str], email: str | None) -> dict[str, Any]:
    key, style = told.audience_key, told.style
    stamp = told.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    seed = f"{key}|{told.member}|{stamp}|{sorted(identity.items())}|{email}"
    flag = {} if style.journey else {key: told.member}
    traits = {"email": email} if email is not None else {}
    shared: dict[str, Any] = {
        **identity,
        "messageId": "per-" + hashlib.sha256(seed.encode()).hexdigest()[:32],
        "timestamp": stamp,
        "integrations": {"All": False, "Webhooks": True},
    }
    if style.kind == "identify":
        return {"type": "identify", **shared, "traits": flag | traits, "context": _context(told)}
    event = style.entered if told.member else style.exited
    properties = {"audience_key": key} | flag
    return {"type": "track", "event": event, **shared, "properties": properties, "context": _context(told, traits)}


def _context(told: Membership, traits: dict[str, str] | None = None) -> dict[str, Any]:
    personas = {
        "computation_class": "journey_step" if told.style.journey else "audience",
        "computation_id": next((a.id for a in AUDIENCES if a.key == told.audience_key), told.audience_key),
        "computation_key": told.audience_key,
        "namespace": SPACE["id"],
        "space_id": SPACE["id"],
    }
    if told.style.external_audience_id is not None:
        personas["external_audience_id"] = told.style.external_audience_id
    return {"personas": personas} | ({"traits": traits} if traits is not None else {})
