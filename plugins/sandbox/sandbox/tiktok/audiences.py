"""Lists, reads and deletes audiences of both kinds, which change state with time (contract 5.4)."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from sandbox.tiktok.calls import Call
from sandbox.tiktok.directory import KEYS
from sandbox.tiktok.errors import ApiError, forbidden, invalid
from sandbox.tiktok.membership import Row
from sandbox.tiktok.state import Audience, Twin

MAX_IDS = 100
EXPIRING = 60 * 86_400


class _Ids(msgspec.Struct):
    advertiser_id: str
    custom_audience_ids: list[str]
    history_size: int = 100


class _Listing(msgspec.Struct):
    advertiser_id: str
    custom_audience_ids: list[str] | None = None
    page: int = 1
    page_size: int = 10


def owned(twin: Twin, advertiser_ids: Iterable[str], audience_id: str) -> Audience:
    """An audience of one of the advertisers. Raises ApiError 40007 (unknown, deleted) and 40001 (another's)."""
    audience = twin.audiences.get(audience_id)
    if audience is None or audience.deleted:
        raise ApiError(40007, f"Audience {audience_id[:40]} does not exist.")
    if audience.advertiser_id not in advertiser_ids:
        raise forbidden(f"No permission to operate audience: {audience_id}")
    return audience


def check_room(twin: Twin, advertiser_id: str) -> None:
    """Raises ApiError 40001 for an advertiser that is not there, 40002 when it has all the audiences it may have."""
    if advertiser_id not in twin.config.advertisers:
        raise forbidden(f"No permission to operate advertiser: {advertiser_id[:40]}")
    if len(twin.live_audiences(advertiser_id)) >= twin.config.max_audiences:
        raise invalid(f"The advertiser has the maximum of {twin.config.max_audiences} audiences.")


def get(twin: Twin, call: Call) -> dict[str, Any]:
    """`GET dmp/custom_audience/get/`: details and history of up to 100 audiences."""
    wanted = call.read(_Ids)
    call.check(wanted.advertiser_id)
    _check_count(wanted.custom_audience_ids)
    if not 1 <= wanted.history_size <= MAX_IDS:
        raise invalid("history_size: Not a value from 1 to 100")
    found = [owned(twin, [wanted.advertiser_id], name) for name in wanted.custom_audience_ids]
    return {
        "list": [
            {
                "audience_details": _described(twin, audience, "type"),
                "audience_history": audience.history[: -wanted.history_size - 1 : -1],
            }
            for audience in found
        ]
    }


def listed(twin: Twin, call: Call) -> dict[str, Any]:
    """`GET dmp/custom_audience/list/`: newest first, in numbered pages."""
    wanted = call.read(_Listing)
    call.check(wanted.advertiser_id)
    if not 1 <= wanted.page_size <= MAX_IDS or wanted.page < 1:
        raise invalid("page_size: Not a value from 1 to 100")
    found = twin.live_audiences(wanted.advertiser_id)
    if wanted.custom_audience_ids is not None:
        _check_count(wanted.custom_audience_ids)
        found = [audience for audience in found if audience.audience_id in wanted.custom_audience_ids]
    start = (wanted.page - 1) * wanted.page_size
    page = found[start : start + wanted.page_size]
    about = {"page": wanted.page, "page_size": wanted.page_size, "total_number": len(found)}
    about["total_page"] = -(-len(found) // wanted.page_size)
    return {"list": [_described(twin, audience, "audience_type") for audience in page], "page_info": about}


def delete(twin: Twin, call: Call) -> dict[str, Any]:
    """`POST dmp/custom_audience/delete/`: all of up to 100 audiences, or none."""
    wanted = call.read(_Ids)
    call.check(wanted.advertiser_id)
    _check_count(wanted.custom_audience_ids)
    for audience in [owned(twin, [wanted.advertiser_id], name) for name in wanted.custom_audience_ids]:
        audience.deleted = True
    return {}


def _check_count(names: list[str]) -> None:
    if len(names) > MAX_IDS:
        raise ApiError(40011, f"custom_audience_ids must hold at most {MAX_IDS} ids.")
    if not names:
        raise invalid("custom_audience_ids: Not a value from 1 to 100 ids")


def settle(twin: Twin, audience: Audience) -> None:
    """Let the time that has passed do its work: a customer file's change, and the size that is shown."""
    now = twin.clock.now()
    if audience.job is not None and now >= audience.job.due:
        _finish(twin, audience)
    elif audience.changed is not None and now >= audience.changed + twin.config.processing:
        audience.changed, audience.computed = None, True
        _compute_size(twin, audience)


def _finish(twin: Twin, audience: Audience) -> None:
    """End the change under way: it comes to nothing where fewer people than the floor would be left."""
    job, audience.job = audience.job, None
    assert job is not None
    members = audience.members.changed(job.action, job.rows, matched(twin, job.rows))
    if len(members.people()) < twin.config.floor:
        audience.error_msg = f"The audience would have fewer than {twin.config.floor} people."
        audience.history[-1]["msg"] = audience.error_msg
        return
    audience.members, audience.computed, audience.error_msg = members, True, ""
    _compute_size(twin, audience)


def matched(twin: Twin, rows: Sequence[Row]) -> list[int | None]:
    """The person that each row means."""
    columns = dict(zip(KEYS, zip(*rows, strict=True), strict=False))
    return twin.directory.match({key: column for key, column in columns.items() if any(column)}, len(rows))


def _compute_size(twin: Twin, audience: Audience) -> None:
    if not twin.config.cover_num_frozen:
        audience.shown = len(audience.members.people())


def _described(twin: Twin, audience: Audience, type_name: str) -> dict[str, Any]:
    settle(twin, audience)
    now, kind = twin.clock.now(), "Partner Audience" if audience.streaming else "Customer File Audience"
    return {
        "audience_id": audience.audience_id,
        "name": audience.name,
        type_name: kind,
        "audience_sub_type": audience.sub_type,
        "calculate_type": audience.calculate_type or None,
        "cover_num": audience.shown if audience.shown >= twin.config.floor else 0,
        "is_valid": audience.computed and audience.job is None and now < audience.expires,
        "is_expiring": now >= audience.expires - EXPIRING,
        "is_creator": True,
        "shared": False,
        "owner_id": audience.advertiser_id,
        "create_time": moment(audience.created),
        "expired_time": moment(audience.expires),
        "error_msg": audience.error_msg,
        "msg": "",
    }


def moment(seconds: float) -> str:
    """A time as the API writes it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
