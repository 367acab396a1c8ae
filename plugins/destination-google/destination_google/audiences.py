"""Finds or creates the user list of an activation, never a second one for the same marker (google.md 5)."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Sequence
from typing import Any

from cdp_bridge.sdk import Audience, AudienceRef, Client, ConfigError, Inventory, RejectedError, TransientError

from destination_google.api import UserList, entries, shaped, user_lists
from destination_google.errors import LIST, GoneError
from destination_google.settings import Settings

DAY = 86_400
SMALLEST = 100
"""Active people below whom Google serves nothing to a list, and tells no size."""
LONGEST_NAME = 255
CREATE_PAUSES = (1.0, 4.0, 15.0)
"""Seconds before the search that decides whether a failed create is tried again."""


def ensure(client: Client, settings: Settings, audience: Audience) -> AudienceRef:
    """The list by its ref, by its marker, or new; with its state and size, and the membership that is set.

    Raises ConfigError when it may not be written or made, TransientError when Google stays unavailable.
    """
    place = f"account {settings.account}"
    try:
        found = _known(client, settings, audience.ref) or _find_or_create(client, settings, audience)
        place = f"user list {found.id}"
        return _ref(settings, _lasting(client, settings, _writable(found)))
    except RejectedError as error:
        raise ConfigError(error.problem, place=place, remedy="Check the audience's name and membership_days") from None


def inventory(client: Client, settings: Settings, reached: Sequence[str]) -> Inventory:
    """The account of the settings, others that are `reached`, and its user lists.

    The Data Manager API names no accounts, the Google Ads API only their numbers.
    """
    found = tuple(_ref(settings, entry) for entry in entries(client, settings))
    return Inventory(accounts=dict.fromkeys([settings.account, *reached], ""), audiences=found)


def new_list(settings: Settings, name: str, **fields: Any) -> dict[str, Any]:
    """A user list as it is created: for contacts (e-mail, phone, address) of the advertiser's own customers."""
    info = {"uploadKeyTypes": ["CONTACT_ID"], "contactIdInfo": {"dataSourceType": "DATA_SOURCE_TYPE_FIRST_PARTY"}}
    return {
        "displayName": name,
        "membershipDuration": _duration(settings),
        "ingestedUserListInfo": info,
        **fields,
    }


def _known(client: Client, settings: Settings, ref: AudienceRef | None) -> UserList | None:
    if ref is not None and ref.account == settings.account:
        with contextlib.suppress(GoneError):
            return shaped(client.read(f"{user_lists(settings)}/{ref.id}"), UserList)
    return None


def _find_or_create(client: Client, settings: Settings, audience: Audience) -> UserList:
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


def _find(client: Client, settings: Settings, marker: str) -> UserList | None:
    """The oldest list that has the marker as integration code: ids grow."""
    code = _code(marker)
    quoted = code.replace("\\", "\\\\").replace('"', '\\"')
    listed = entries(client, settings, f'integration_code = "{quoted}"')
    # How exactly Google compares, it does not say.
    found = [entry for entry in listed if entry.integration_code == code]
    return min(found, key=lambda entry: (len(entry.id), entry.id), default=None)


def _create(client: Client, settings: Settings, audience: Audience) -> UserList:
    # Names are unique in an account, those of audiences are not; the same marker gives the same name.
    end = f" [{hashlib.sha256(audience.marker.encode()).hexdigest()[:8]}]"
    name = audience.name[: LONGEST_NAME - len(end)] + end
    described = {"description": audience.description} if audience.description else {}
    body = new_list(settings, name, integrationCode=_code(audience.marker), **described)
    return shaped(client.call("POST", user_lists(settings), json=body), UserList)


def _writable(found: UserList) -> UserList:
    """The list, if members can be sent to it: what goes to a closed one goes nowhere (google.md 15)."""
    why = ""
    if found.read_only:
        why = "it may only be read"
    elif found.membership_status == "CLOSED":
        why = "Google closed it, since it was not used" if found.closing_reason == "UNUSED" else "it is closed"
    elif found.account_access_status == "DISABLED":
        why = "the account's access to it is disabled"
    if why:
        raise ConfigError(f"{why}, so it takes no members", place=f"user list {found.id}", remedy=LIST)
    return found


def _lasting(client: Client, settings: Settings, found: UserList) -> UserList:
    """The list with the membership of the settings: members are sent again before it ends."""
    if found.membership_duration == _duration(settings):
        return found
    path, body = f"{user_lists(settings)}/{found.id}", {"membershipDuration": _duration(settings)}
    return shaped(client.call("PATCH", path, params={"updateMask": "membershipDuration"}, json=body), UserList)


def _ref(settings: Settings, found: UserList) -> AudienceRef:
    size = found.size_info.most or None
    small = f"no size yet: Google wants {SMALLEST} active people" if size is None else "ready"
    if size is not None and size < SMALLEST:
        small = f"below Google's minimum of {SMALLEST} active people"
    return AudienceRef(
        id=found.id,
        account=settings.account,
        name=found.display_name,
        status=f"{found.membership_status}; {small}",
        lower_bound=size,
        upper_bound=size,
    )


def _duration(settings: Settings) -> str:
    return f"{settings.membership_days * DAY}s"


def _code(marker: str) -> str:
    return f"cdp-bridge:{marker}"
