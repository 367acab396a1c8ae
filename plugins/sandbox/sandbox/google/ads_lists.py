"""User lists by the Google Ads API: the same lists as those of the Data Manager API (google.md 10.1)."""

import re
from typing import Any

from sandbox.google.ads_errors import failure, refuse
from sandbox.google.ads_rows import KEY_TYPES
from sandbox.google.ads_shapes import MutateUserLists, UserListOperation, read
from sandbox.google.ads_shapes import UserList as Sent
from sandbox.google.calls import Call
from sandbox.google.errors import ApiError
from sandbox.google.state import Twin, UserList
from sandbox.google.user_lists import check_name

MAX_OPERATIONS = 10_000
MAX_DAYS = 540
DAY = 86_400
INFOS = {"CONTACT_ID": "contactIdInfo", "USER_ID": "userIdInfo", "MOBILE_ID": "mobileIdInfo"}
DATA_KEYS = {ads: data for data, ads in KEY_TYPES.items()}


def mutate(twin: Twin, call: Call) -> dict[str, Any]:
    """`userLists:mutate`: all operations or, with partial failure, those that are good."""
    request, account_id = read(call.body, MutateUserLists), call.parts[0]
    if not request.operations:
        refuse("requestError", "REQUIRED_FIELD_MISSING", "The required field was not present.", "operations")
    if len(request.operations) > MAX_OPERATIONS:
        message = f"At most {MAX_OPERATIONS} operations are allowed."
        refuse("requestError", "TOO_MANY_MUTATE_OPERATIONS", message, "operations")
    results: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    lists_before = dict(twin.lists)
    for number, operation in enumerate(request.operations):
        try:
            results.append({"resourceName": _done(twin, account_id, operation, f"operations[{number}]")})
        except ApiError as refused:
            if not request.partial_failure:
                twin.lists = lists_before
                raise
            results.append({})
            errors += refused.details[0]["errors"]
    if request.validate_only:
        twin.lists = lists_before
        return {}
    return {"results": results} | partial(errors)


def partial(errors: list[dict[str, Any]]) -> dict[str, Any]:
    """The part of an answer with HTTP 200 that tells what was not taken."""
    if not errors:
        return {}
    message = f"Multiple errors in request: {len(errors)}." if len(errors) > 1 else errors[0]["message"]
    return {"partialFailureError": {"code": 3, "message": message, "details": [failure(errors)]}}


def find(twin: Twin, account_id: str, name: str, place: str) -> UserList:
    """The list of a resource name. Raises ApiError."""
    path = re.fullmatch(r"customers/(\d+)/userLists/(\d+)", name)
    if path is None:
        refuse("requestError", "RESOURCE_NAME_MALFORMED", "The resource name is malformed.", place)
    user_list = twin.lists.get(path[2])
    if path[1] != account_id or user_list is None or user_list.deleted or user_list.account_id != account_id:
        refuse("mutateError", "RESOURCE_NOT_FOUND", "Resource was not found.", place)
    return user_list


def _done(twin: Twin, account_id: str, operation: UserListOperation, place: str) -> str:
    """Do one operation; says the list's resource name."""
    if operation.create is not None:
        user_list = _created(twin, account_id, operation.create, f"{place}.create")
    elif operation.update is not None:
        user_list = find(twin, account_id, operation.update.resource_name, f"{place}.update.resource_name")
        _change(twin, user_list, operation, f"{place}.update")
    elif operation.remove is not None:
        user_list = find(twin, account_id, operation.remove, f"{place}.remove")
        user_list.deleted = True
        user_list.members.by_link.clear()
    else:
        refuse("requestError", "OPERATION_REQUIRED", "The operation holds nothing.", place)
    return f"customers/{account_id}/userLists/{user_list.list_id}"


def _created(twin: Twin, account_id: str, sent: Sent, place: str) -> UserList:
    crm = sent.crm_based_user_list
    if crm is None or crm.upload_key_type is None:
        refuse("fieldError", "REQUIRED", "The required field was not present.", f"{place}.crm_based_user_list")
    if crm.upload_key_type == "MOBILE_ADVERTISING_ID" and not crm.app_id:
        refuse("fieldError", "REQUIRED", "The required field was not present.", f"{place}.crm_based_user_list.app_id")
    _check_name(twin, account_id, sent.name or "", None, f"{place}.name")
    key = DATA_KEYS[crm.upload_key_type]
    info = {"uploadKeyTypes": [key], INFOS[key]: {"dataSourceType": f"DATA_SOURCE_TYPE_{crm.data_source_type}"}}
    fields = {"displayName": sent.name, "membershipStatus": "OPEN", "ingestedUserListInfo": info}
    user_list = UserList(twin.new_id(7090), account_id, fields, twin.clock.now())
    _set(user_list, sent, ("description", "integration_code", "membership_status", "membership_life_span"), place)
    twin.lists[user_list.list_id] = user_list
    return user_list


def _change(twin: Twin, user_list: UserList, operation: UserListOperation, place: str) -> None:
    sent = operation.update
    assert sent is not None
    names = tuple(
        re.sub("[A-Z]", lambda c: "_" + c[0].lower(), name) for name in operation.update_mask.split(",") if name
    )
    if not names:
        refuse("fieldMaskError", "FIELD_MASK_MISSING", "The field mask is required.", f"{place}.update_mask")
    for name in names:
        if name.startswith("crm_based_user_list"):
            refuse("fieldError", "IMMUTABLE_FIELD", "The field cannot be changed.", f"{place}.{name}")
    if "name" in names:
        _check_name(twin, user_list.account_id, sent.name or "", user_list, f"{place}.name")
        user_list.fields["displayName"] = sent.name
    _set(user_list, sent, names, place)


def _set(user_list: UserList, sent: Sent, names: tuple[str, ...], place: str) -> None:
    if "membership_life_span" in names and sent.membership_life_span is not None:
        text = str(sent.membership_life_span)
        if not text.isdecimal() or int(text) > MAX_DAYS:
            refuse("rangeError", "TOO_HIGH", "A life span is 0 to 540 days.", f"{place}.membership_life_span")
        user_list.duration = int(text) * DAY
    for name, key in (
        ("description",) * 2,
        ("integration_code", "integrationCode"),
        ("membership_status", "membershipStatus"),
    ):
        if name in names and getattr(sent, name) is not None:
            user_list.fields[key] = getattr(sent, name)


def _check_name(twin: Twin, account_id: str, name: str, own: UserList | None, place: str) -> None:
    if not name:
        refuse("fieldError", "REQUIRED", "The required field was not present.", place)
    if not check_name(twin, account_id, name, own):
        refuse("userListError", "NAME_ALREADY_USED", "The name is already being used.", place)
