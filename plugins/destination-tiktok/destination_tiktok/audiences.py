"""Finds or creates the audience of an activation, never a second one for the same marker (tiktok.md 4.1, 5)."""

from __future__ import annotations

import contextlib
import hashlib
import time
from datetime import UTC, datetime

import msgspec
from cdp_bridge.sdk import Audience, AudienceRef, Client, ConfigError, Inventory, RejectedError, TransientError

from destination_tiktok.api import Entry, entries, shaped
from destination_tiktok.errors import GoneError
from destination_tiktok.settings import Settings

LONGEST_NAME = 70
"""Characters; TikTok cuts a longer name, and with it the marker."""

OTHERS = {"streaming": "Customer File Audience", "file": "Partner Audience"}
"""Way of uploading -> what TikTok calls the audiences of the other way (tiktok.md 3)."""

TIME = "%Y-%m-%d %H:%M:%S"

CREATE_PAUSES = (1.0, 4.0, 15.0)
"""Seconds before the search that decides whether a failed create is tried again."""


class _Created(msgspec.Struct):
    audience_id: str


def inventory(client: Client, settings: Settings) -> Inventory:
    """The advertiser of the settings, and its audiences.

    TikTok names others only to who writes the app's secret into a URL (tiktok.md 1.1).
    """
    found = tuple(_ref(settings, entry) for entry in entries(client, settings))
    return Inventory(accounts={settings.advertiser_id: ""}, audiences=found)


def ensure(client: Client, settings: Settings, audience: Audience) -> AudienceRef:
    """The audience by its ref, by its marker, or new; with its state and size.

    A new one that is made from files has no id before the first of them. Raises ConfigError when the audience may not
    be made or used, TransientError when TikTok stays unavailable.
    """
    try:
        if settings.upload == "streaming":
            return _ref(settings, _find_or_create(client, settings, audience))
        found = find(client, settings, audience)
        if found is not None and found.error_msg:
            # Fewer people would be left than TikTok demands, and nothing can be taken out of such an audience.
            _delete(client, settings, found)
            found = None
        return _ref(settings, found or Entry("", full_name(audience)))
    except RejectedError as error:
        raise explained(settings, error) from None


def find(client: Client, settings: Settings, audience: Audience) -> Entry | None:
    """The audience by its ref, else the oldest with its marker in the name: ids grow.

    Raises ConfigError for one that was made the other way.
    """
    if audience.ref is not None and audience.ref.id and audience.ref.account == settings.advertiser_id:
        for entry in entries(client, settings, [audience.ref.id]):
            return _fitting(settings, entry)
    found = [entry for entry in entries(client, settings) if entry.name.endswith(_tag(audience.marker))]
    oldest = min(found, key=lambda entry: (len(entry.audience_id), entry.audience_id), default=None)
    return oldest and _fitting(settings, oldest)


def full_name(audience: Audience) -> str:
    """The name at TikTok, which ends with the tag: there is no other place for a marker."""
    tag = _tag(audience.marker)
    return f"{audience.name[: LONGEST_NAME - len(tag) - 1]} {tag}"


def explained(settings: Settings, error: RejectedError) -> ConfigError:
    """What to do when TikTok refuses an audience, or a change of it, whatever is in the files."""
    remedy = "Check the audience's name, and that the advertiser has fewer than 400 audiences"
    return ConfigError(error.problem, place=f"advertiser {settings.advertiser_id}", remedy=remedy)


def _find_or_create(client: Client, settings: Settings, audience: Audience) -> Entry:
    """A create that fails without a word may have worked, so every new try begins with a search."""
    pauses = iter(CREATE_PAUSES)
    while (found := find(client, settings, audience)) is None:
        try:
            return Entry(_create(client, settings, audience))
        except TransientError as error:
            pause = next(pauses, None)
            if pause is None:
                raise
            time.sleep(max(pause, error.retry_after or 0))
    return found


def _fitting(settings: Settings, entry: Entry) -> Entry:
    if entry.audience_type == OTHERS[settings.upload]:
        raise ConfigError(
            f"TikTok has the audience as a {entry.audience_type}, which takes no upload of the kind {settings.upload}",
            place=f"audience {entry.audience_id}",
            remedy="Set upload as it was, or delete the audience at TikTok: then everybody is sent to a new one",
        )
    return entry


def _delete(client: Client, settings: Settings, entry: Entry) -> None:
    body = {"advertiser_id": settings.advertiser_id, "custom_audience_ids": [entry.audience_id]}
    with contextlib.suppress(GoneError):
        client.call("POST", "/dmp/custom_audience/delete/", json=body)


def _create(client: Client, settings: Settings, audience: Audience) -> str:
    body = {
        "advertiser_id": settings.advertiser_id,
        "action": "create",
        "custom_audience_name": full_name(audience),
    }
    return shaped(client.call("POST", "/segment/audience/", json=body), _Created).audience_id


def _ref(settings: Settings, entry: Entry) -> AudienceRef:
    size = entry.cover_num if entry.is_valid and entry.cover_num > 0 else None
    return AudienceRef(
        id=entry.audience_id,
        account=settings.advertiser_id,
        name=entry.name,
        status=_status(entry),
        lower_bound=size,
        upper_bound=size,
    )


def _status(entry: Entry) -> str:
    if not entry.audience_id:
        return "to be made from the first file"
    if entry.expired_time and entry.expired_time < datetime.now(UTC).strftime(TIME):
        return "expired"
    if not entry.is_valid:
        return "failed" if entry.error_msg else "not computed yet"
    if not entry.cover_num:
        return "below TikTok's minimum of 1,000 matched people"
    return "ready, expires within 60 days" if entry.is_expiring else "ready"


def _tag(marker: str) -> str:
    """A name is too short for any marker as it is."""
    return f"[cdp-bridge:{hashlib.sha256(marker.encode()).hexdigest()[:20]}]"
