"""Finds or creates the custom audience of an activation, never a second one for the same marker (tiktok.md 4.1, 5)."""

from __future__ import annotations

import contextlib
import hashlib
from datetime import UTC, datetime

import msgspec
from cdp_bridge.sdk import Audience, AudienceRef, Client, ConfigError, Inventory, RejectedError, find_or_create

from destination_tiktok.api import Answer, CustomAudience, custom_audiences
from destination_tiktok.errors import BusyError, GoneError
from destination_tiktok.settings import Settings

MAX_NAME = 70
"""Characters; TikTok cuts a longer name, and with it the marker."""

MIN_SIZE = 1_000
"""Matched people below whom TikTok shows no size."""

UPDATE = "/dmp/custom_audience/update/"

OTHERS = {"streaming": "Customer File Audience", "file": "Partner Audience"}
"""Way of uploading -> what TikTok calls the audiences of the other way (tiktok.md 3)."""

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


class _Created(msgspec.Struct):
    audience_id: str


def ensure(client: Client, settings: Settings, audience: Audience) -> AudienceRef:
    """The audience by its ref, by its marker, or new; with its state and size.

    A new one that is made from files has no id before the first of them. Raises ConfigError when the audience may not
    be made or used, TransientError when TikTok stays unavailable.
    """
    try:
        if settings.upload == "streaming":
            ensured = find_or_create(
                lambda: find(client, settings, audience), lambda: _create(client, settings, audience)
            )
            return _ref(settings, _named(client, settings, audience, ensured))
        existing = find(client, settings, audience)
        if existing is not None and existing.error_msg:
            # Fewer people would be left than TikTok demands, and nothing can be taken out of such an audience.
            _delete(client, settings, existing)
            existing = None
        if existing is None:
            return _ref(settings, CustomAudience("", full_name(audience)))
        return _ref(settings, _named(client, settings, audience, existing))
    except RejectedError as error:
        raise explained(settings, error) from None


def inventory(client: Client, settings: Settings) -> Inventory:
    """The advertiser of the settings, and its audiences.

    TikTok names others only to those who write the app's secret into a URL (tiktok.md 1.1).
    """
    audiences = [_ref(settings, audience) for audience in custom_audiences(client, settings)]
    return Inventory(accounts={settings.advertiser_id: ""}, audiences=tuple(audiences))


def find(client: Client, settings: Settings, audience: Audience) -> CustomAudience | None:
    """The audience by its ref, else the oldest with its marker in the name: ids grow.

    Raises ConfigError for one that was made the other way.
    """
    if audience.ref is not None and audience.ref.id and audience.ref.account == settings.advertiser_id:
        for existing in custom_audiences(client, settings, [audience.ref.id]):
            return _fitting(settings, existing)
    tag = _tag(audience.marker)
    marked = [existing for existing in custom_audiences(client, settings) if existing.name.endswith(tag)]
    oldest = min(marked, key=lambda existing: (len(existing.audience_id), existing.audience_id), default=None)
    return oldest and _fitting(settings, oldest)


def full_name(audience: Audience) -> str:
    """The name at TikTok, which ends with the tag: there is no other place for a marker."""
    tag = _tag(audience.marker)
    return f"{audience.name[: MAX_NAME - len(tag) - 1]} {tag}"


def explained(settings: Settings, error: RejectedError) -> ConfigError:
    """What to do when TikTok refuses an audience, or a change of it, whatever is in the files."""
    remedy = "Check the audience's name, and that the advertiser has fewer than 400 audiences"
    return ConfigError(error.problem, place=f"advertiser {settings.advertiser_id}", remedy=remedy)


def _fitting(settings: Settings, audience: CustomAudience) -> CustomAudience:
    kind = audience.audience_type
    if kind == OTHERS[settings.upload]:
        raise ConfigError(
            f"TikTok has the audience as a {kind}, which takes no upload of the kind {settings.upload}",
            place=f"audience {audience.audience_id}",
            remedy="Set upload as it was, or delete the audience at TikTok: then everybody is sent to a new one",
        )
    return audience


def _delete(client: Client, settings: Settings, audience: CustomAudience) -> None:
    body = {"advertiser_id": settings.advertiser_id, "custom_audience_ids": [audience.audience_id]}
    with contextlib.suppress(GoneError):
        client.call("POST", "/dmp/custom_audience/delete/", json=body)


def _create(client: Client, settings: Settings, audience: Audience) -> CustomAudience:
    body = {
        "advertiser_id": settings.advertiser_id,
        "action": "create",
        "custom_audience_name": full_name(audience),
    }
    created = client.call("POST", "/segment/audience/", json=body, type=Answer[_Created]).data
    return CustomAudience(created.audience_id, full_name(audience))


def _named(client: Client, settings: Settings, audience: Audience, existing: CustomAudience) -> CustomAudience:
    """The audience under its new name, if it has one and TikTok renames it.

    Renaming is documented for audiences from files only (tiktok.md 5.3); others keep their name where TikTok refuses.
    """
    name = full_name(audience)
    if audience.rename and existing.name != name:
        body = {
            "advertiser_id": settings.advertiser_id,
            "custom_audience_id": existing.audience_id,
            "custom_audience_name": name,
        }
        with contextlib.suppress(BusyError, ConfigError, RejectedError):
            client.call("POST", UPDATE, json=body)
            return msgspec.structs.replace(existing, name=name)
    return existing


def _ref(settings: Settings, audience: CustomAudience) -> AudienceRef:
    size = audience.cover_num if audience.is_valid and audience.cover_num > 0 else None
    is_small = audience.is_valid and not audience.cover_num
    return AudienceRef(
        id=audience.audience_id,
        account=settings.advertiser_id,
        name=audience.name,
        status=_status(audience),
        lower_bound=0 if is_small else size,
        upper_bound=MIN_SIZE - 1 if is_small else size,
        # Below TikTok's floor it is unknown, not nobody (tiktok.md 9).
        matched=None if size is None else (size, size),
    )


def _status(audience: CustomAudience) -> str:
    if not audience.audience_id:
        return "to be made from the first file"
    if audience.expired_time and audience.expired_time < datetime.now(UTC).strftime(TIME_FORMAT):
        return "expired"
    if not audience.is_valid:
        return "failed" if audience.error_msg else "not computed yet"
    if not audience.cover_num:
        return "below TikTok's minimum of 1,000 matched people"
    return "ready, expires within 60 days" if audience.is_expiring else "ready"


def _tag(marker: str) -> str:
    """A name is too short for any marker as it is."""
    return f"[cdp-bridge:{hashlib.sha256(marker.encode()).hexdigest()[:20]}]"
