"""The streaming API: creates and deletes audiences, adds and removes people (contract 4)."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from sandbox.tiktok.audiences import check_room, matched, owned
from sandbox.tiktok.calls import Call
from sandbox.tiktok.directory import KEYS
from sandbox.tiktok.errors import ApiError, forbidden, invalid, missing, unhashed
from sandbox.tiktok.hashes import well_formed
from sandbox.tiktok.membership import Row
from sandbox.tiktok.state import Audience, Twin

MAX_NAME_LENGTH = 70
ID_TYPES = KEYS[:-1]


class _Segment(msgspec.Struct):
    advertiser_id: str
    action: Literal["create", "delete"] = "create"
    custom_audience_name: str = ""
    delete_audience_id: str = ""


class _Cell(msgspec.Struct, gc=False):
    id: str | UnsetType = UNSET
    audience_ids: list[str] | UnsetType = UNSET


class _Mapping(msgspec.Struct):
    advertiser_ids: list[str]
    id_schema: list[str]
    batch_data: list[list[_Cell]]
    action: Literal["add", "delete"] = "add"


def segment(twin: Twin, call: Call) -> dict[str, Any]:
    """`POST segment/audience/`: names are not unique; a long one is cut, so two may become equal."""
    wanted = call.read(_Segment)
    call.check(wanted.advertiser_id)
    if wanted.action == "delete":
        if not wanted.delete_audience_id:
            raise missing("delete_audience_id")
        audience = owned(twin, [wanted.advertiser_id], wanted.delete_audience_id)
        audience.deleted = True
        return {}
    if not wanted.custom_audience_name:
        raise missing("custom_audience_name")
    check_room(twin, wanted.advertiser_id)
    name, now = wanted.custom_audience_name, twin.clock.now()
    if len(name) > MAX_NAME_LENGTH:
        name = name[: MAX_NAME_LENGTH - 3] + "..."
    audience = Audience(twin.new_id(), wanted.advertiser_id, name, True, now, updated=now)
    twin.audiences[audience.audience_id] = audience
    return {"audience_id": audience.audience_id}


def mapping(twin: Twin, call: Call) -> dict[str, Any]:
    """`POST segment/mapping/`: cell i of a row belongs to `id_schema[i]`; the answer says nothing of any row."""
    if len(call.body) > twin.config.max_bytes:
        raise ApiError(40061, f"The request is larger than {twin.config.max_bytes} bytes.")
    wanted = call.read(_Mapping)
    _check_advertisers(twin, call, wanted.advertiser_ids)
    if not wanted.batch_data:
        raise missing("batch_data")
    if len(wanted.batch_data) > twin.config.max_rows:
        raise ApiError(40061, f"batch_data must hold at most {twin.config.max_rows} rows.")
    rows = _rows(_places(wanted.id_schema), wanted.batch_data)
    audiences = {name: owned(twin, wanted.advertiser_ids, name) for name in rows}
    if not all(audience.streaming for audience in audiences.values()):
        raise invalid("audience_ids: a Customer File Audience takes no mapping.")
    for name, taken in rows.items():
        _apply(twin, audiences[name], wanted.action, taken)
    return {}


def _check_advertisers(twin: Twin, call: Call, names: list[str]) -> None:
    if not names:
        raise missing("advertiser_ids")
    for name in names:
        call.check(name)
    businesses = {twin.config.advertisers[name].business for name in names if name in twin.config.advertisers}
    if len(businesses) != 1 or not all(name in twin.config.advertisers for name in names):
        raise forbidden("advertiser_ids must belong to one business.")


def _places(schema: list[str]) -> list[int]:
    """Where in a held row each column of the schema goes."""
    names = [name.upper() for name in schema]
    if not names or len(set(names)) != len(names) or not set(names) <= set(ID_TYPES):
        raise invalid("id_schema: Not a valid list of id types, each at most once")
    return [KEYS.index(name) for name in names]


def _rows(places: list[int], batch: list[list[_Cell]]) -> dict[str, list[Row]]:
    """The rows of each audience; cells of one row may name different ones."""
    found: dict[str, list[Row]] = {}
    for number, cells in enumerate(batch):
        if len(cells) != len(places):
            raise invalid(f"batch_data.{number}: Not as long as id_schema")
        row: dict[str, list[str]] = {}
        for place, cell in zip(places, cells, strict=True):
            if cell.id is UNSET and cell.audience_ids is UNSET:
                continue
            if cell.id is UNSET or cell.audience_ids is UNSET or not cell.audience_ids:
                raise invalid(f"batch_data.{number}: A cell must hold both id and audience_ids")
            if not well_formed(KEYS[place], cell.id):
                raise unhashed(f"batch_data.{number}: PII is not hashed")
            for name in cell.audience_ids:
                row.setdefault(name, [""] * len(KEYS))[place] = cell.id
        if not row:
            raise invalid(f"batch_data.{number}: A row must hold an id")
        for name, held in row.items():
            found.setdefault(name, []).append(tuple(held))
    return found


def _apply(twin: Twin, audience: Audience, action: str, rows: list[Row]) -> None:
    audience.counters[f"requests_{'remove' if action == 'delete' else 'add'}"] += 1
    audience.counters["rows_received"] += len(rows)
    if action == "delete":
        audience.members.remove(rows)
    else:
        audience.members.add(rows, matched(twin, rows))
    audience.changed = audience.updated = twin.clock.now()
