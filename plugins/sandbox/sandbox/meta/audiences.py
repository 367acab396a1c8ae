"""Custom audiences: create, read, list, update, delete, and the statuses they report (contract 3)."""

from collections.abc import Callable
from typing import Any

from sandbox.meta.calls import Call
from sandbox.meta.errors import GraphError, invalid
from sandbox.meta.membership import Membership
from sandbox.meta.paging import page
from sandbox.meta.state import Audience, Twin

MAX_CUSTOM_AUDIENCES = 500
SOURCES = ("USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY", "BOTH_USER_AND_PARTNER_PROVIDED")
SUBTYPES = ("CUSTOM", "WEBSITE", "APP", "OFFLINE_CONVERSION", "ENGAGEMENT", "LOOKALIKE")
SETTABLE = (
    "name",
    "description",
    "opt_out_link",
    "subtype",
    "customer_file_source",
    "retention_days",
    "use_for_products",
)
FLAGGED = 471
TOO_SMALL = 100
STATUS_TEXTS = {
    0: "None",
    200: "Normal",
    400: "Warning",
    410: "No file has been uploaded yet",
    411: "Low match rate",
    412: "Many invalid rows in the last session",
    414: "A replace is running",
    415: "The last replace failed",
    441: "We are finding people who match your audience criteria",
    471: "Flagged for integrity policy",
    500: "Error",
}


def create(twin: Twin, call: Call, account_id: str) -> dict[str, Any]:
    """`POST /act_{id}/customaudiences`; names are not unique."""
    _check_terms(twin, account_id)
    fields = _checked_fields(call)
    custom = [a for a in twin.live_audiences(account_id) if a.fields["subtype"] == "CUSTOM"]
    if fields["subtype"] == "CUSTOM" and len(custom) >= MAX_CUSTOM_AUDIENCES:
        raise GraphError(2654, f"Failed to create custom audience: at most {MAX_CUSTOM_AUDIENCES} in an ad account")
    now = twin.clock.now()
    audience = Audience(twin.new_id(2385), account_id, fields, now, Membership(), updated=now)
    twin.audiences[audience.audience_id] = audience
    return {"id": audience.audience_id, "message": ""}


def _check_terms(twin: Twin, account_id: str) -> None:
    account = twin.config.accounts[account_id]
    link = f"https://business.facebook.com/ads/manage/customaudiences/tos/?act={account_id}"
    if not account.terms_accepted:
        raise GraphError(2663, f"Custom Audience terms of service have not been accepted. Accept them at {link}")
    if not account.user_terms_accepted:
        message = f"(#200) The custom audience terms were not accepted by this person. Accept them at {link}"
        raise GraphError(200, message, subcode=1870090, status=403)


def _checked_fields(call: Call) -> dict[str, Any]:
    fields = {name: call.params[name] for name in SETTABLE if name in call.params}
    if not call.text("name"):
        raise invalid("Param name is required")
    if fields.setdefault("subtype", "CUSTOM") not in SUBTYPES:
        raise invalid(f"Param subtype must be one of {SUBTYPES}")
    source = fields.get("customer_file_source")
    if source not in (*SOURCES, None) or (source is None and fields["subtype"] == "CUSTOM"):
        raise invalid(f"Param customer_file_source must be one of {SOURCES}")
    if "retention_days" in fields:
        fields["retention_days"] = _retention_days(call)
    return fields | {"is_value_based": call.flag("is_value_based")}


def _retention_days(call: Call) -> int:
    value = str(call.params["retention_days"])
    if not value.isdecimal() or not 1 <= int(value) <= 180:
        raise invalid("Param retention_days must be a number from 1 to 180")
    return int(value)


def read(twin: Twin, call: Call, audience: Audience) -> dict[str, Any]:
    """`GET /{audience}`; without `fields` only the id."""
    return _selected(twin, audience, call.fields())


def listed(twin: Twin, call: Call, account_id: str) -> dict[str, Any]:
    """`GET /act_{id}/customaudiences`, newest first, paged by opaque cursors."""
    if "filtering" in call.params:
        raise invalid("Param filtering is not served by this twin")
    fields = call.fields()
    rows = [_selected(twin, audience, fields) for audience in twin.live_audiences(account_id)]
    return page(twin, call, rows)


def update(twin: Twin, call: Call, audience: Audience) -> dict[str, Any]:
    """`POST /{audience}`; a flagged audience refuses."""
    if audience.forced_status == FLAGGED and not audience.forced_after:
        raise GraphError(100, "Audience Update Blocked", subcode=1713231)
    if "name" in call.params and not call.text("name"):
        raise invalid("Param name must not be empty")
    changed = {name: call.params[name] for name in SETTABLE if name in call.params and name != "subtype"}
    if "retention_days" in changed:
        changed["retention_days"] = _retention_days(call)
    audience.fields |= changed
    audience.updated = twin.clock.now()
    return {"success": True}


def delete(_: Twin, call: Call, audience: Audience) -> dict[str, Any]:
    """`DELETE /{audience}`; refused with 2656 while lookalikes hang on it."""
    if audience.lookalikes:
        raise GraphError(2656, "The custom audience has lookalike audiences and cannot be deleted")
    audience.deleted = True
    audience.members = Membership()
    return {"success": True}


def operation_status(twin: Twin, audience: Audience) -> int:
    """The code of `operation_status` at this moment."""
    now = twin.clock.now()
    if audience.forced_status is not None and not audience.forced_after:
        return audience.forced_status
    if audience.replacing is not None:
        return 415 if audience.replacing.expired(now) else 414
    if audience.source is None:
        return 410
    return 441 if now < audience.content_updated + twin.config.populating else 200


def size_bounds(twin: Twin, audience: Audience) -> tuple[int, int]:
    """The estimate that is shown: matched people rounded down and up to two digits, in steps of 100 at least.

    -1 twice while nothing was uploaded or the audience is not usable; the true rounding is not published.
    """
    if operation_status(twin, audience) != 200:
        return -1, -1
    people = len(audience.members.people())
    step = max(100, 10 ** (len(str(people)) - 2))
    lower = people // step * step
    return lower, lower + step


def _selected(twin: Twin, audience: Audience, names: list[str]) -> dict[str, Any]:
    known = _FIELDS.keys() | set(SETTABLE) | {"is_value_based"}
    for name in names:
        if name not in known:
            raise invalid(f"Tried accessing nonexisting field ({name[:60]})")
    found = {name: _FIELDS[name](twin, audience) for name in names if name in _FIELDS}
    found |= {name: audience.fields[name] for name in names if name in audience.fields}
    return found | {"id": audience.audience_id}


def _delivery_status(twin: Twin, audience: Audience) -> dict[str, Any]:
    status = operation_status(twin, audience)
    if status >= 400 and status not in {410, 441}:
        return {"code": 400, "description": "This audience is not usable."}
    if len(audience.members.people()) < TOO_SMALL:
        return {"code": 300, "description": "Audience too small to be used."}
    return {"code": 200, "description": "This audience is ready for use."}


def _operation_status(twin: Twin, audience: Audience) -> dict[str, Any]:
    code = operation_status(twin, audience)
    return {"code": code, "description": STATUS_TEXTS.get(code, "Other")}


_FIELDS: dict[str, Callable[[Twin, Audience], Any]] = {
    "id": lambda twin, a: a.audience_id,
    "account_id": lambda twin, a: a.account_id,
    "approximate_count_lower_bound": lambda twin, a: size_bounds(twin, a)[0],
    "approximate_count_upper_bound": lambda twin, a: size_bounds(twin, a)[1],
    "delivery_status": _delivery_status,
    "operation_status": _operation_status,
    "permission_for_actions": lambda twin, a: {"can_edit": True, "can_see_insight": True, "can_share": True},
    "time_created": lambda twin, a: int(a.created),
    "time_updated": lambda twin, a: int(a.updated),
    "time_content_updated": lambda twin, a: int(a.content_updated),
    "fields_violating_integrity_policy": lambda twin, a: ["name"] if operation_status(twin, a) == FLAGGED else [],
}
