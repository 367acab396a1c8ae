"""Finds or creates the audience of an activation, never a second one for the same marker (tiktok.md 4.1)."""

from __future__ import annotations

import hashlib
import time

import msgspec
from cdp_bridge.sdk import Audience, AudienceRef, Client, ConfigError, RejectedError, TransientError

from .api import Entry, entries, shaped
from .settings import Settings

LONGEST_NAME = 70
"""Characters; TikTok cuts a longer name, and with it the marker."""

CREATE_PAUSES = (1.0, 4.0, 15.0)
"""Seconds before the search that decides whether a failed create is tried again."""


class _Created(msgspec.Struct):
    audience_id: str


def ensure(client: Client, settings: Settings, audience: Audience) -> AudienceRef:
    """The audience by its ref, by its marker, or new; with its state and size.

    Raises ConfigError when it may not be made, TransientError when TikTok stays unavailable.
    """
    try:
        if audience.ref is not None and audience.ref.account == settings.advertiser_id:
            for entry in entries(client, settings, [audience.ref.id]):
                return _ref(settings, entry)
        return _find_or_create(client, settings, audience)
    except RejectedError as error:
        remedy = "Check the audience's name, and that the advertiser has fewer than 400 audiences"
        raise ConfigError(error.problem, place=f"advertiser {settings.advertiser_id}", remedy=remedy) from None


def _find_or_create(client: Client, settings: Settings, audience: Audience) -> AudienceRef:
    """A create that fails without a word may have worked, so every new try begins with a search."""
    pauses = iter(CREATE_PAUSES)
    while (found := _find(client, settings, audience.marker)) is None:
        try:
            return _ref(settings, Entry(_create(client, settings, audience)))
        except TransientError as error:
            pause = next(pauses, None)
            if pause is None:
                raise
            time.sleep(max(pause, error.retry_after or 0))
    return _ref(settings, found)


def _find(client: Client, settings: Settings, marker: str) -> Entry | None:
    """The oldest audience with the marker in its name: ids grow."""
    found = [entry for entry in entries(client, settings) if entry.name.endswith(_tag(marker))]
    return min(found, key=lambda entry: (len(entry.audience_id), entry.audience_id), default=None)


def _create(client: Client, settings: Settings, audience: Audience) -> str:
    tag = _tag(audience.marker)
    name = f"{audience.name[: LONGEST_NAME - len(tag) - 1]} {tag}"
    body = {"advertiser_id": settings.advertiser_id, "action": "create", "custom_audience_name": name}
    return shaped(client.call("POST", "/segment/audience/", json=body), _Created).audience_id


def _ref(settings: Settings, entry: Entry) -> AudienceRef:
    size = entry.cover_num if entry.is_valid and entry.cover_num > 0 else None
    return AudienceRef(
        id=entry.audience_id,
        account=settings.advertiser_id,
        status=_status(entry),
        lower_bound=size,
        upper_bound=size,
    )


def _status(entry: Entry) -> str:
    if not entry.is_valid:
        return "failed" if entry.error_msg else "not computed yet"
    if not entry.cover_num:
        return "below TikTok's minimum of 1,000 matched people"
    return "ready, expires within 60 days" if entry.is_expiring else "ready"


def _tag(marker: str) -> str:
    """There is no other place for a marker than the name, which is too short for any marker as it is."""
    return f"[cdp-bridge:{hashlib.sha256(marker.encode()).hexdigest()[:20]}]"
