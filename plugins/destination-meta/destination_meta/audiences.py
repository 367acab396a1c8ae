"""Finds or creates the audience of an activation, never a second one for the same marker (meta.md 3)."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import msgspec
from cdp_bridge.sdk import Audience, AudienceRef, Client, ConfigError, Inventory, RejectedError, TransientError

from destination_meta.errors import FLAGGED, GoneError
from destination_meta.graph import entries, shaped
from destination_meta.settings import Settings

ACCOUNTS = "/me/adaccounts"
FIELDS = "approximate_count_lower_bound,approximate_count_upper_bound,delivery_status,operation_status"
FLAGGED_STATUS = 471
CREATE_PAUSES = (1.0, 4.0, 15.0)
"""Seconds before the search that decides whether a failed create is tried again."""
LAG_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between reads of a new audience, which may not be readable at once (meta.md 1.2)."""


class _Status(msgspec.Struct):
    code: int = 0
    description: str = ""


class _Node(msgspec.Struct):
    """What an audience says about itself; a bound is -1 while unknown."""

    id: str
    name: str = ""
    approximate_count_lower_bound: int = -1
    approximate_count_upper_bound: int = -1
    delivery_status: _Status = msgspec.field(default_factory=_Status)
    operation_status: _Status = msgspec.field(default_factory=_Status)


class _Created(msgspec.Struct):
    id: str


def inventory(client: Client, settings: Settings) -> Inventory:
    """The ad accounts that the token reaches, and the custom audiences of the one in the settings."""
    accounts = {str(entry["id"]): str(entry.get("name") or "") for entry in entries(client, ACCOUNTS, "id,name")}
    listed = entries(client, f"/{settings.account}/customaudiences", f"id,name,{FIELDS}")
    return Inventory(accounts=accounts, audiences=tuple(_ref(settings, shaped(entry, _Node)) for entry in listed))


def ensure(client: Client, settings: Settings, audience: Audience) -> AudienceRef:
    """The audience by its ref, by its marker, or new; with its statuses and size bounds.

    Raises ConfigError when it may not be edited or made, TransientError when Meta stays unavailable.
    """
    try:
        if audience.ref is not None and audience.ref.account == settings.account:
            with contextlib.suppress(GoneError):
                return _read(client, settings, audience.ref.id)
        return _read_when_visible(client, settings, _find_or_create(client, settings, audience))
    except RejectedError as error:
        raise ConfigError(
            error.problem, place=settings.account, remedy="Check the audience's name and retention_days"
        ) from None


def _find_or_create(client: Client, settings: Settings, audience: Audience) -> str:
    """A create that fails without a word may have worked, so every new try begins with a search."""
    pauses = iter(CREATE_PAUSES)
    while (found := _find(client, settings, audience.marker)) is None:
        try:
            return _create(client, settings, audience)
        except TransientError as error:
            pause = next(pauses, None)
            if pause is None:
                raise
            time.sleep(max(pause, error.retry_after or 0))
    return found


def _find(client: Client, settings: Settings, marker: str) -> str | None:
    """The oldest audience with the marker in its description: ids grow."""
    listed = entries(client, f"/{settings.account}/customaudiences", "id,description")
    found = [str(entry["id"]) for entry in listed if _tag(marker) in (entry.get("description") or "")]
    return min(found, key=lambda number: (len(number), number), default=None)


def _create(client: Client, settings: Settings, audience: Audience) -> str:
    fields: dict[str, Any] = {
        "name": audience.name,
        "subtype": "CUSTOM",
        "customer_file_source": settings.customer_file_source,
        "description": f"{audience.description} {_tag(audience.marker)}".strip(),
    }
    if settings.retention_days is not None:
        fields["retention_days"] = settings.retention_days
    return shaped(client.call("POST", f"/{settings.account}/customaudiences", json=fields), _Created).id


def _read_when_visible(client: Client, settings: Settings, audience_id: str) -> AudienceRef:
    for pause in LAG_PAUSES:
        with contextlib.suppress(GoneError):
            return _read(client, settings, audience_id)
        time.sleep(pause)
    return _read(client, settings, audience_id)


def _read(client: Client, settings: Settings, audience_id: str) -> AudienceRef:
    node = shaped(client.read(f"/{audience_id}", params={"fields": FIELDS}), _Node)
    if node.operation_status.code == FLAGGED_STATUS:
        raise ConfigError(FLAGGED.problem, place=f"audience {audience_id}", remedy=FLAGGED.remedy)
    return _ref(settings, node)


def _ref(settings: Settings, node: _Node) -> AudienceRef:
    operation, delivery = node.operation_status, node.delivery_status
    return AudienceRef(
        id=node.id,
        account=settings.account,
        name=node.name,
        status=f"{operation.code} {operation.description}; {delivery.code} {delivery.description}",
        lower_bound=_known(node.approximate_count_lower_bound),
        upper_bound=_known(node.approximate_count_upper_bound),
    )


def _known(bound: int) -> int | None:
    return None if bound < 0 else bound


def _tag(marker: str) -> str:
    return f"[cdp-bridge:{marker}]"
