"""Finds or creates the custom audience of an activation, never a second one for the same marker (meta.md 3)."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import msgspec
from cdp_bridge.sdk import Audience, AudienceRef, Client, ConfigError, Inventory, RejectedError, find_or_create

from destination_meta.api import CustomAudience, ad_accounts, custom_audiences
from destination_meta.errors import FLAGGED, GoneError
from destination_meta.settings import Settings

FIELDS = "name,approximate_count_lower_bound,approximate_count_upper_bound,delivery_status,operation_status"
FLAGGED_STATUS = 471
LAG_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between reads of a new audience, which may not be readable at once (meta.md 1.2)."""


class _Created(msgspec.Struct):
    id: str


def ensure(client: Client, settings: Settings, audience: Audience) -> AudienceRef:
    """The audience by its ref, by its marker, or new; with its name, statuses and size bounds.

    Raises ConfigError when it may not be edited or made, TransientError when Meta stays unavailable.
    """
    try:
        if audience.ref is not None and audience.ref.account == settings.account:
            with contextlib.suppress(GoneError):
                return _named(client, audience, _read(client, settings, audience.ref.id))
        audience_id = find_or_create(
            lambda: _find(client, settings, audience.marker), lambda: _create(client, settings, audience)
        )
        return _named(client, audience, _read_when_visible(client, settings, audience_id))
    except RejectedError as error:
        remedy = "Check the audience's name and retention_days"
        raise ConfigError(error.problem, place=settings.account, remedy=remedy) from None


def inventory(client: Client, settings: Settings) -> Inventory:
    """The ad accounts that the token reaches, and the custom audiences of the one in the settings."""
    accounts = {account.id: account.name or "" for account in ad_accounts(client)}
    audiences = [_ref(settings, audience) for audience in custom_audiences(client, settings, f"id,{FIELDS}")]
    return Inventory(accounts=accounts, audiences=tuple(audiences))


def _find(client: Client, settings: Settings, marker: str) -> str | None:
    """The oldest audience with the marker in its description: ids grow."""
    listed = custom_audiences(client, settings, "id,description")
    ids = [audience.id for audience in listed if _tag(marker) in (audience.description or "")]
    return min(ids, key=lambda number: (len(number), number), default=None)


def _create(client: Client, settings: Settings, audience: Audience) -> str:
    fields: dict[str, Any] = {
        "name": audience.name,
        "subtype": "CUSTOM",
        "customer_file_source": settings.customer_file_source,
        "description": f"{audience.description} {_tag(audience.marker)}".strip(),
    }
    if settings.retention_days is not None:
        fields["retention_days"] = settings.retention_days
    return client.call("POST", f"/{settings.account}/customaudiences", json=fields, type=_Created).id


def _read_when_visible(client: Client, settings: Settings, audience_id: str) -> AudienceRef:
    for pause in LAG_PAUSES:
        with contextlib.suppress(GoneError):
            return _read(client, settings, audience_id)
        time.sleep(pause)
    return _read(client, settings, audience_id)


def _read(client: Client, settings: Settings, audience_id: str) -> AudienceRef:
    audience = client.read(f"/{audience_id}", params={"fields": FIELDS}, type=CustomAudience)
    if audience.operation_status.code == FLAGGED_STATUS:
        raise ConfigError(FLAGGED.problem, place=f"audience {audience_id}", remedy=FLAGGED.remedy)
    return _ref(settings, audience)


def _named(client: Client, audience: Audience, ref: AudienceRef) -> AudienceRef:
    """The audience under its new name, if it has one."""
    if not audience.rename or ref.name == audience.name:
        return ref
    client.call("POST", f"/{ref.id}", json={"name": audience.name})
    return msgspec.structs.replace(ref, name=audience.name)


def _ref(settings: Settings, audience: CustomAudience) -> AudienceRef:
    operation, delivery = audience.operation_status, audience.delivery_status
    return AudienceRef(
        id=audience.id,
        account=settings.account,
        name=audience.name,
        status=f"{operation.code} {operation.description}; {delivery.code} {delivery.description}",
        lower_bound=_known(audience.approximate_count_lower_bound),
        upper_bound=_known(audience.approximate_count_upper_bound),
        matched=_matched(audience),
    )


def _matched(audience: CustomAudience) -> tuple[int, int] | None:
    """Meta's rounded range of the people whom it knows; None while it is unknown (meta.md 8)."""
    bounds = audience.approximate_count_lower_bound, audience.approximate_count_upper_bound
    return None if min(bounds) < 0 else bounds


def _known(bound: int) -> int | None:
    return None if bound < 0 else bound


def _tag(marker: str) -> str:
    return f"[cdp-bridge:{marker}]"
