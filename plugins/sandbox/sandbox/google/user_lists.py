"""User lists of the Data Manager API: create, read, list, update, delete (google.md 5)."""

import base64
import binascii
import hashlib
import re
from typing import Any

from sandbox.google.access import partner_reaches, reaches
from sandbox.google.calls import Call
from sandbox.google.errors import Violations, no_access, not_found, refuse
from sandbox.google.filters import chosen
from sandbox.google.processing import shown_size
from sandbox.google.state import MAX_DURATION, Twin, UserList
from sandbox.google.transcoder import parse

DAY = 86_400
MAX_NAME_LENGTH = 255
SETTABLE = (
    "displayName",
    "description",
    "integrationCode",
    "membershipStatus",
    "membershipDuration",
    "targetNetworkInfo",
    "accountAccessStatus",
)
INFOS = {"CONTACT_ID": "contactIdInfo", "MOBILE_ID": "mobileIdInfo", "USER_ID": "userIdInfo"}
_PATH = re.compile(r"accountTypes/(\w+)/accounts/(\d+)")


def create(twin: Twin, call: Call) -> dict[str, Any]:
    """`POST /v1/{parent}/userLists`; the body is the list, fields that Google sets are ignored."""
    account_id, sent, found = _account(twin, call), parse(call.body, "UserList"), Violations()
    if not twin.config.accounts[account_id].eu_declaration:
        reason = "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED"
        refuse("parent", reason, "The account has not made the declaration on political ads in the EU.")
    _check_fields(twin, account_id, sent, found)
    info = _checked_info(sent.get("ingestedUserListInfo"), found)
    found.check()
    fields = {"membershipStatus": "OPEN"} | {name: sent[name] for name in SETTABLE if name in sent}
    fields["ingestedUserListInfo"] = info
    list_id = twin.new_id(7090)
    made = UserList(list_id, account_id, fields, twin.clock.now())
    made.duration = _seconds(sent.get("membershipDuration", f"{MAX_DURATION}s"))
    if call.query.get("validateOnly") != "true":
        twin.lists[list_id] = made
    return shown(twin, made)


def read(twin: Twin, call: Call) -> dict[str, Any]:
    """`GET /v1/{name}`."""
    return shown(twin, _found(twin, call))


def listed(twin: Twin, call: Call) -> dict[str, Any]:
    """`GET /v1/{parent}/userLists`, oldest first, paged by tokens that fit one filter only."""
    account_id, text = _account(twin, call), call.query.get("filter", "")
    size = call.query.get("pageSize", "0")
    if not size.isascii() or not size.isdecimal():
        refuse("page_size", "INVALID_NUMBER_FORMAT", "The size of a page is a number.")
    fits, key = chosen(text), hashlib.sha256(f"{account_id} {text}".encode()).hexdigest()[:16]
    start = _position(call.query.get("pageToken", ""), key)
    # Only those that are answered are sized: that goes through all of their members.
    found = [each for each in twin.live_lists(account_id) if fits(_described(twin, each))]
    end = start + min(int(size) or 50, 1_000)
    more = {"nextPageToken": base64.urlsafe_b64encode(f"{key}:{end}".encode()).decode()} if end < len(found) else {}
    return {"userLists": [shown(twin, each) for each in found[start:end]]} | more


def update(twin: Twin, call: Call) -> dict[str, Any]:
    """`PATCH /v1/{name}?updateMask=...`; without a mask, the fields that were sent."""
    user_list, sent, found = _found(twin, call), parse(call.body, "UserList"), Violations()
    mask = [_camel(path.strip()) for path in call.query.get("updateMask", "").split(",") if path.strip()]
    names = mask or [name for name in sent if name in (*SETTABLE, "ingestedUserListInfo")]
    for name in names:
        top = name.partition(".")[0]
        if top == "ingestedUserListInfo":
            refuse("user_list.ingested_user_list_info", "IMMUTABLE_FIELD_FOR_UPDATE", "The field is immutable.")
        if top not in SETTABLE:
            refuse("update_mask", "INVALID_UPDATE_MASK", "The mask names a field that cannot be set.")
    tops = {name.partition(".")[0] for name in names}
    changes = {name: sent[name] for name in tops if name in sent}
    _check_fields(twin, user_list.account_id, user_list.fields | changes, found, user_list)
    if "displayName" in tops and not sent.get("displayName"):
        found.add("user_list.display_name", "REQUIRED_FIELD_MISSING", "The name is required.")
    found.check()
    if call.query.get("validateOnly") == "true":
        return shown(twin, user_list)
    user_list.fields = {name: value for name, value in user_list.fields.items() if name not in tops} | changes
    if "membershipDuration" in tops:
        user_list.duration = _seconds(changes.get("membershipDuration", f"{MAX_DURATION}s"))
    return shown(twin, user_list)


def delete(twin: Twin, call: Call) -> dict[str, Any]:
    """`DELETE /v1/{name}`."""
    user_list = _found(twin, call)
    if call.query.get("validateOnly") != "true":
        user_list.deleted = True
        user_list.members.by_link.clear()
    return {}


def shown(twin: Twin, user_list: UserList) -> dict[str, Any]:
    """A list as it is answered; sizes and match rate are left out below the floor."""
    answered = _described(twin, user_list)
    size, match_rate = shown_size(twin, user_list)
    if size is not None:
        kinds = ("displayNetwork", "searchNetwork", "youtube", "gmail")
        answered["sizeInfo"] = {f"{kind}MembersCount": str(size) for kind in kinds}
    info = dict(answered["ingestedUserListInfo"])
    if user_list.key_type == "CONTACT_ID" and match_rate is not None:
        info["contactIdInfo"] = info.get("contactIdInfo", {}) | {"matchRatePercentage": match_rate}
    return answered | {"ingestedUserListInfo": info}


def _described(twin: Twin, user_list: UserList) -> dict[str, Any]:
    """A list as it is answered, but for what depends on its members."""
    fields = user_list.fields | {"membershipDuration": f"{int(user_list.duration)}s"}
    account = twin.config.accounts[user_list.account_id]
    name = f"accountTypes/{account.type}/accounts/{user_list.account_id}/userLists/{user_list.list_id}"
    about: dict[str, Any] = {"name": name, "id": user_list.list_id, "readOnly": False, "accessReason": "OWNED"}
    network = {"eligibleForDisplay": True, "eligibleForSearch": True} | fields.get("targetNetworkInfo", {})
    return about | fields | {"targetNetworkInfo": network}


def check_name(twin: Twin, account_id: str, name: str, own: UserList | None = None) -> bool:
    """Whether a name is free in the account."""
    others = (each for each in twin.live_lists(account_id) if each is not own)
    return all(each.fields["displayName"] != name for each in others)


def _account(twin: Twin, call: Call) -> str:
    """The account of the path. Raises ApiError 403 when the caller does not reach it by the headers' path."""
    kind, account_id, *_ = call.parts
    account = twin.config.accounts.get(account_id)
    if account is None or account.type != kind:
        raise no_access()
    login_id, linked_id = (_named(call.headers.get(name)) for name in ("login-account", "linked-account"))
    login = twin.config.accounts.get(login_id or account_id)
    if login is not None and login.type == "DATA_PARTNER":
        good = partner_reaches(twin.config, call.token.user, login, linked_id, account_id)
    else:
        good = reaches(twin.config, call.token.user, login_id or account_id, account_id)
    if not good:
        raise no_access()
    return account_id


def _named(header: str | None) -> str | None:
    if header is None:
        return None
    path = _PATH.fullmatch(header)
    if path is None:
        refuse("login-account", "INVALID_RESOURCE_NAME", "An account is accountTypes/TYPE/accounts/ID.")
    return path[2]


def _found(twin: Twin, call: Call) -> UserList:
    account_id = _account(twin, call)
    user_list = twin.lists.get(call.parts[2])
    if user_list is None or user_list.deleted or user_list.account_id != account_id:
        raise not_found("The user list was not found.")
    return user_list


def _check_fields(
    twin: Twin, account_id: str, sent: dict[str, Any], found: Violations, own: UserList | None = None
) -> None:
    name, place = sent.get("displayName", ""), "user_list.display_name"
    if not name:
        found.add(place, "REQUIRED_FIELD_MISSING", "The name is required.")
    elif len(name) > MAX_NAME_LENGTH:
        found.add(place, "FIELD_VALUE_TOO_LONG", f"A name has at most {MAX_NAME_LENGTH} characters.")
    elif not check_name(twin, account_id, name, own):
        found.add(place, "DISPLAY_NAME_ALREADY_USED", "The account has a list of this name.")
    length, place = _seconds(sent.get("membershipDuration", "0s")), "user_list.membership_duration"
    if length % DAY or length < 0:
        found.add(place, "INVALID_ARGUMENT", "A duration is in whole days.")
    elif length > MAX_DURATION:
        found.add(place, "MEMBERSHIP_DURATION_TOO_LONG", "A duration is at most 540 days.")


def _checked_info(info: dict[str, Any] | None, found: Violations) -> dict[str, Any]:
    place = "user_list.ingested_user_list_info"
    if info is None:
        found.add(place, "REQUIRED_FIELD_MISSING", "A list of Customer Match needs it.")
        return {}
    types = info.get("uploadKeyTypes", [])
    if not types:
        found.add(f"{place}.upload_key_types", "REQUIRED_FIELD_MISSING", "A type of key is required.")
    elif len(types) > 1:
        reason = "UNSUPPORTED_USER_LIST_UPLOAD_KEY_TYPES"
        found.add(f"{place}.upload_key_types", reason, "A list of Google Ads takes exactly one type of key.")
    wrong = {name for kind, name in INFOS.items() if name in info and [kind] != types}
    if wrong:
        found.add(place, "UNSUPPORTED_INGESTED_USER_LIST_INFO_CONFIG", "The info is of another type of key.")
    if types == ["MOBILE_ID"] and not {"keySpace", "appId"} <= info.get("mobileIdInfo", {}).keys():
        found.add(f"{place}.mobile_id_info", "REQUIRED_FIELD_MISSING", "Mobile ids need a key space and an app id.")
    if "matchRatePercentage" in info.get("contactIdInfo", {}):
        del info["contactIdInfo"]["matchRatePercentage"]
    return info


def _position(token: str, key: str) -> int:
    if not token:
        return 0
    try:
        of, _, start = base64.urlsafe_b64decode(token).decode().partition(":")
        position = int(start)
    except (ValueError, binascii.Error):
        of, position = "", 0
    if of != key:
        refuse("page_token", "INVALID_PAGE_TOKEN", "The token is not one, or is of another list.")
    return position


def _seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


def _camel(path: str) -> str:
    return re.sub("_([a-z])", lambda letter: letter[1].upper(), path)
