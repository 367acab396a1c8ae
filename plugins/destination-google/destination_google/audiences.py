"""Finds or creates the user list of an activation, never a second one for the same marker (google.md 5)."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from typing import Any

from cdp_bridge.sdk import Audience, AudienceRef, Client, ConfigError, Inventory, RejectedError, find_or_create

from destination_google.api import UserList, user_lists, user_lists_path
from destination_google.errors import LIST, GoneError
from destination_google.settings import Settings

DAY = 86_400
MIN_SIZE = 100
"""Active people below whom Google serves nothing to a list, and tells no size."""
MAX_NAME = 255


def ensure(client: Client, settings: Settings, audience: Audience) -> AudienceRef:
    """The list by its ref, by its marker, or new; with its state and size, and the membership that is set.

    Raises ConfigError when it may not be written or made, TransientError when Google stays unavailable.
    """
    place = f"account {settings.account}"
    try:
        user_list = _read(client, settings, audience.ref) or find_or_create(
            lambda: _find(client, settings, audience.marker), lambda: _create(client, settings, audience)
        )
        place = f"user list {user_list.id}"
        return _ref(settings, _updated(client, settings, _writable(user_list), audience), audience.ref)
    except RejectedError as error:
        remedy = "Check the audience's name and membership_days"
        raise ConfigError(error.problem, place=place, remedy=remedy) from None


def inventory(client: Client, settings: Settings, reached: Sequence[str]) -> Inventory:
    """The account of the settings, others that are `reached`, and its user lists.

    The Data Manager API names no accounts, the Google Ads API only their numbers.
    """
    audiences = [_ref(settings, user_list) for user_list in user_lists(client, settings)]
    return Inventory(accounts=dict.fromkeys([settings.account, *reached], ""), audiences=tuple(audiences))


def new_list(settings: Settings, name: str, **fields: Any) -> dict[str, Any]:
    """A user list as it is created: for contacts (e-mail, phone, address) of the advertiser's own customers."""
    info = {"uploadKeyTypes": ["CONTACT_ID"], "contactIdInfo": {"dataSourceType": "DATA_SOURCE_TYPE_FIRST_PARTY"}}
    return {
        "displayName": name,
        "membershipDuration": _duration(settings),
        "ingestedUserListInfo": info,
        **fields,
    }


def _read(client: Client, settings: Settings, ref: AudienceRef | None) -> UserList | None:
    if ref is not None and ref.account == settings.account:
        with contextlib.suppress(GoneError):
            return client.read(f"{user_lists_path(settings)}/{ref.id}", type=UserList)
    return None


def _find(client: Client, settings: Settings, marker: str) -> UserList | None:
    """The oldest list that has the marker as integration code: ids grow."""
    code = _code(marker)
    quoted = code.replace("\\", "\\\\").replace('"', '\\"')
    listed = user_lists(client, settings, f'integration_code = "{quoted}"')
    # How exactly Google compares, it does not say.
    marked = [user_list for user_list in listed if user_list.integration_code == code]
    return min(marked, key=lambda user_list: (len(user_list.id), user_list.id), default=None)


def _create(client: Client, settings: Settings, audience: Audience) -> UserList:
    described = {"description": audience.description} if audience.description else {}
    body = new_list(settings, _full_name(audience), integrationCode=_code(audience.marker), **described)
    return client.call("POST", user_lists_path(settings), json=body, type=UserList)


def _writable(user_list: UserList) -> UserList:
    """The list, if members can be sent to it: what goes to a closed one goes nowhere (google.md 15)."""
    why = ""
    if user_list.read_only:
        why = "it may only be read"
    elif user_list.membership_status == "CLOSED":
        why = "Google closed it, since it was not used" if user_list.closing_reason == "UNUSED" else "it is closed"
    elif user_list.account_access_status == "DISABLED":
        why = "the account's access to it is disabled"
    if why:
        raise ConfigError(f"{why}, so it takes no members", place=f"user list {user_list.id}", remedy=LIST)
    return user_list


def _updated(client: Client, settings: Settings, user_list: UserList, audience: Audience) -> UserList:
    """The list with the membership of the settings (members are sent again before it ends), and with a new name."""
    wanted: dict[str, str] = {}
    if user_list.membership_duration != _duration(settings):
        wanted["membershipDuration"] = _duration(settings)
    if audience.rename and user_list.display_name != _full_name(audience):
        wanted["displayName"] = _full_name(audience)
    if not wanted:
        return user_list
    path, mask = f"{user_lists_path(settings)}/{user_list.id}", ",".join(wanted)
    return client.call("PATCH", path, params={"updateMask": mask}, json=wanted, type=UserList)


def _full_name(audience: Audience) -> str:
    """Names are unique in an account, those of audiences are not; the same marker gives the same end."""
    end = f" [{hashlib.sha256(audience.marker.encode()).hexdigest()[:8]}]"
    return audience.name[: MAX_NAME - len(end)] + end


def _ref(settings: Settings, user_list: UserList, before: AudienceRef | None = None) -> AudienceRef:
    size = user_list.size_info.largest or None
    small = f"no size yet: Google wants {MIN_SIZE} active people" if size is None else "ready"
    if size is not None and size < MIN_SIZE:
        small = f"below Google's minimum of {MIN_SIZE} active people"
    lower = upper = size
    if size is None and before is not None and before.id == user_list.id and before.upper_bound is not None:
        # Google has told a size of this list before, so this is no lack of an estimate.
        lower, upper = 0, MIN_SIZE - 1
    return AudienceRef(
        id=user_list.id,
        account=settings.account,
        name=user_list.display_name,
        status=f"{user_list.membership_status}; {small}",
        lower_bound=lower,
        upper_bound=upper,
        match_rate=user_list.match_rate,
    )


def _duration(settings: Settings) -> str:
    return f"{settings.membership_days * DAY}s"


def _code(marker: str) -> str:
    return f"cdp-bridge:{marker}"
