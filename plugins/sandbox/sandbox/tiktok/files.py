"""Customer files: uploaded, made into audiences and changing them; each change takes time (contract 5.1 to 5.3)."""

import csv
import hashlib
import secrets
from typing import Any, Literal

import msgspec
from aiohttp.web_request import FileField

from sandbox.tiktok.audiences import check_room, moment, owned, settle
from sandbox.tiktok.calls import Call
from sandbox.tiktok.directory import KEYS
from sandbox.tiktok.errors import ApiError, forbidden, invalid, missing, unhashed
from sandbox.tiktok.hashes import well_formed
from sandbox.tiktok.membership import Row
from sandbox.tiktok.state import Action, Audience, File, Job, Twin

MAX_BYTES = 50 * 2**20
MAX_PATHS = 500
MAX_NAME_LENGTH = 128
PATH_LENGTH = 16
MAX_REPEATS = 3
MULTIPLE = "MULTIPLE_TYPES"
SINGLE = {
    "EMAIL_SHA256": "EMAIL_SHA256",
    "PHONE_SHA256": "PHONE_SHA256",
    "IDFA_SHA256": "IDFA_SHA256",
    "IDFA_MD5": "IDFA_MD5",
    "GAID_SHA256": "AAID_SHA256",
    "GAID_MD5": "AAID_MD5",
    "FIRST_SHA256": "MAID",
    "FIRST_MD5": "MAID",
}
"""The key of a held row for each type of a file; Android ids are called GAID here and AAID in the streaming API."""

HEADERS = SINGLE | {"MAID": "MAID"}
NOT_EDITABLE = "Audience is not editable, please check audience status"
UNFINISHED = "This replace operation is rejected as there is an existing unfinished replace operation"

SubType = Literal["NORMAL", "REACH_FREQUENCY"]


class _Creation(msgspec.Struct):
    advertiser_id: str
    custom_audience_name: str
    file_paths: list[str]
    calculate_type: str
    audience_sub_type: SubType = "NORMAL"
    retention_in_days: int | None = None


class _Update(msgspec.Struct):
    advertiser_id: str
    custom_audience_id: str
    custom_audience_name: str | None = None
    file_paths: list[str] | None = None
    action: Literal["APPEND", "REMOVE", "REPLACE"] = "REPLACE"
    audience_sub_type: SubType | None = None


def upload(twin: Twin, call: Call) -> dict[str, Any]:
    """`POST dmp/custom_audience/file/upload/`: the path under which the same advertiser may use the file."""
    advertiser_id, file = call.form.get("advertiser_id"), call.form.get("file")
    if not isinstance(advertiser_id, str):
        raise missing("advertiser_id")
    call.check(advertiser_id)
    calculate_type = call.form.get("calculate_type")
    if calculate_type != MULTIPLE and calculate_type not in SINGLE:
        raise ApiError(40909, "calculate_type is invalid.")
    if not isinstance(file, FileField):
        raise ApiError(40905, "The file is missing.")
    body = file.file.read()
    _check_file(body, file.filename, call.form.get("file_signature"))
    path = secrets.token_hex(PATH_LENGTH // 2)
    kind = str(calculate_type)
    twin.files[path] = File(advertiser_id, kind, twin.clock.now(), _rows(body, kind))
    return {"file_path": path}


def _check_file(body: bytes, name: str, signature: object) -> None:
    if not body:
        raise ApiError(40906, "The file is empty.")
    if len(body) > MAX_BYTES:
        raise ApiError(40907, "The file is larger than 50 MB.")
    if not name.lower().endswith((".csv", ".txt")):
        raise ApiError(40908, "The file must be csv or txt.")
    if signature != hashlib.md5(body, usedforsecurity=False).hexdigest():
        raise ApiError(40900, "The file signature does not match.")


def _rows(body: bytes, kind: str) -> list[Row]:
    """The rows of a file; several columns of one type make several rows. Raises ApiError 40062 and 40002."""
    try:
        lines = list(csv.reader(body.decode("utf-8").splitlines()))
    except (UnicodeDecodeError, csv.Error):
        raise invalid("The file is not a readable csv.") from None
    keys = _header(lines.pop(0)) if kind == MULTIPLE else [SINGLE[kind]]
    return [row for cells in lines if any(cells) for row in _spread(keys, cells)]


def _header(cells: list[str]) -> list[str]:
    names = [cell.strip().upper() for cell in cells]
    if not names or not set(names) <= set(HEADERS) or any(names.count(name) > MAX_REPEATS for name in names):
        raise invalid("The header line must name id types, each at most three times.")
    return [HEADERS[name] for name in names]


def _spread(keys: list[str], cells: list[str]) -> list[Row]:
    if len(cells) > len(keys):
        raise invalid("A line of the file has more cells than there are types.")
    values: dict[str, list[str]] = {}
    for key, cell in zip(keys, cells, strict=False):
        if cell:
            if not well_formed(key, cell):
                raise unhashed()
            values.setdefault(key, []).append(cell)
    rows = max(map(len, values.values()))
    return [tuple(values[key][n % len(values[key])] if key in values else "" for key in KEYS) for n in range(rows)]


def create(twin: Twin, call: Call) -> dict[str, Any]:
    """`POST dmp/custom_audience/create/`: the audience is computed later, and stays empty below the floor."""
    wanted = call.read(_Creation)
    call.check(wanted.advertiser_id)
    _check_name(wanted.custom_audience_name)
    if wanted.retention_in_days is not None and not 1 <= wanted.retention_in_days <= 365:
        raise invalid("retention_in_days: Not a value from 1 to 365")
    rows = _used(twin, wanted.advertiser_id, wanted.file_paths, wanted.calculate_type)
    check_room(twin, wanted.advertiser_id)
    now = twin.clock.now()
    audience = Audience(
        twin.new_id(),
        wanted.advertiser_id,
        wanted.custom_audience_name,
        False,
        now,
        wanted.calculate_type,
        wanted.audience_sub_type,
        wanted.retention_in_days,
    )
    twin.audiences[audience.audience_id] = audience
    _begin(twin, audience, "CREATE", rows)
    return {"custom_audience_id": audience.audience_id}


def update(twin: Twin, call: Call) -> dict[str, Any]:
    """`POST dmp/custom_audience/update/`: without `action` the file replaces everybody."""
    wanted = call.read(_Update)
    call.check(wanted.advertiser_id)
    audience = owned(twin, [wanted.advertiser_id], wanted.custom_audience_id)
    settle(twin, audience)
    if wanted.custom_audience_name is not None:
        _check_name(wanted.custom_audience_name)
    if wanted.file_paths is not None:
        _check_editable(twin, audience, wanted.action)
        rows = _used(twin, wanted.advertiser_id, wanted.file_paths, audience.calculate_type)
        _begin(twin, audience, wanted.action, rows)
    if wanted.custom_audience_name is not None:
        audience.name = wanted.custom_audience_name
    if wanted.audience_sub_type == "REACH_FREQUENCY":
        audience.sub_type = wanted.audience_sub_type
    audience.updated = twin.clock.now()
    return {}


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        raise invalid(f"custom_audience_name: Not a value from 1 to {MAX_NAME_LENGTH} characters")


def _check_editable(twin: Twin, audience: Audience, action: str) -> None:
    if audience.job is not None and audience.job.action == action == "REPLACE":
        raise invalid(UNFINISHED)
    if audience.streaming or audience.job is not None or not audience.computed or audience.shown < twin.config.floor:
        raise invalid(NOT_EDITABLE)


def _used(twin: Twin, advertiser_id: str, paths: list[str], calculate_type: str) -> list[Row]:
    """The rows of the files. Raises ApiError 40002, 40905 (unknown), 40001 (another's) and 40910 (too old)."""
    if not 1 <= len(paths) <= MAX_PATHS or any(len(path) != PATH_LENGTH for path in paths):
        raise invalid(f"file_paths: Not a list of 1 to {MAX_PATHS} paths")
    rows: list[Row] = []
    for path in paths:
        file = twin.files.get(path)
        if file is None:
            raise ApiError(40905, "The file is missing.")
        if file.advertiser_id != advertiser_id:
            raise forbidden("No permission to operate the file.")
        if twin.clock.now() >= file.uploaded + twin.config.file_life:
            raise ApiError(40910, "The file has expired.")
        if file.calculate_type != calculate_type:
            raise invalid("calculate_type: Not that of the files")
        rows += file.rows
    return rows


def _begin(twin: Twin, audience: Audience, action: Action, rows: list[Row]) -> None:
    now = twin.clock.now()
    audience.job = Job(action, rows, now + twin.config.processing)
    about = {"action": action, "action_detail": "", "editor": "open_api", "msg": "", "opt_time": moment(now)}
    audience.history.append(about)
    audience.updated = now
    operation = {"APPEND": "add", "CREATE": "add", "REMOVE": "remove", "REPLACE": "replace"}[action]
    audience.counters[f"requests_{operation}"] += 1
    audience.counters["rows_received"] += len(rows)
