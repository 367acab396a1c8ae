"""Regulations and suppressions of the Public API twin (segment.md section 9)."""

from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from sandbox.segment import catalog, public_api
from sandbox.segment.clock import Quota
from sandbox.segment.paging import paged
from sandbox.segment.refusals import invalid, missing
from sandbox.segment.twin import Regulation, Twin

_WORKSPACE_KINDS = frozenset(
    {
        "SUPPRESS_ONLY",
        "UNSUPPRESS",
        "DELETE_INTERNAL",
        "SUPPRESS_WITH_DELETE_INTERNAL",
        "DELETE_ONLY",
        "SUPPRESS_WITH_DELETE",
    }
)
_SOURCE_KINDS = _WORKSPACE_KINDS | {"DELETE_ARCHIVE_ONLY"}
_STATUSES = frozenset({"INITIALIZED", "INVALID", "NOT_SUPPORTED", "RUNNING", "PARTIAL_SUCCESS", "FAILED", "FINISHED"})
_DAY = 86_400.0
_MAX_IDS = 5000
_MAX_USERS_A_MONTH = 110_000
_KEPT_DAYS = 90


def install(app: web.Application) -> None:
    """Add the routes of P11."""
    public_api.add(app, "POST", "/regulations", _regulate_workspace, 600)
    public_api.add(app, "GET", "/regulations", _list)
    public_api.add(app, "GET", "/regulations/{regulate}", _read)
    public_api.add(app, "POST", "/regulations/sources/{source}", _regulate_source, 600)
    public_api.add(app, "GET", "/regulations/sources/{source}", _list)
    public_api.add(app, "POST", "/regulations/cloudsources/{source}", _regulate_cloud_source, 600)
    public_api.add(app, "GET", "/suppressions", _suppressions)


def finished_deletions(twin: Twin) -> set[str]:
    """User ids whose deletion is through: their profiles are gone."""
    done = (each for each in twin.regulations.values() if "DELETE" in each.kind and _status(twin, each) == "FINISHED")
    return {user_id for each in done if each.source_id is None for user_id in each.subject_ids}


async def _regulate_workspace(twin: Twin, request: web.Request) -> dict[str, Any]:
    return _record(twin, await public_api.body(request), _WORKSPACE_KINDS, {"USER_ID", "OBJECT_ID"}, None)


async def _regulate_source(twin: Twin, request: web.Request) -> dict[str, Any]:
    wanted = await public_api.body(request)
    archive_only = wanted.get("regulationType") == "DELETE_ARCHIVE_ONLY"
    subjects = {"USER_ID", "ANONYMOUS_ID"} if archive_only else {"USER_ID"}
    return _record(twin, wanted, _SOURCE_KINDS, subjects, _source(request))


async def _regulate_cloud_source(twin: Twin, request: web.Request) -> dict[str, Any]:
    wanted = await public_api.body(request)
    if not wanted.get("collection"):
        raise invalid('"collection" is required', "collection")
    return _record(twin, wanted, _WORKSPACE_KINDS, {"OBJECT_ID"}, _source(request))


async def _list(twin: Twin, request: web.Request) -> dict[str, Any]:
    source = _source(request) if "source" in request.match_info else None
    status = request.query.get("status")
    if status is not None and status not in _STATUSES:
        raise invalid(f'"status" must be one of {sorted(_STATUSES)}', "status")
    kinds = request.query.getall("regulationTypes", []) + request.query.getall("regulationTypes[]", [])
    found = [each for each in twin.regulations.values() if _is_kept(twin, each) and source in {None, each.source_id}]
    wanted = [each for each in found if status in {None, _status(twin, each)} and (not kinds or each.kind in kinds)]
    return paged(request.query, "regulations", [_described(twin, each) for each in wanted])


async def _read(twin: Twin, request: web.Request) -> dict[str, Any]:
    regulation = twin.regulations.get(request.match_info["regulate"])
    if regulation is None or not _is_kept(twin, regulation):
        raise missing("Regulation")
    return {"regulation": _described(twin, regulation)}


async def _suppressions(twin: Twin, request: web.Request) -> dict[str, Any]:
    rows = [{"subjectType": "USER_ID", "subjectIds": [user_id]} for user_id in sorted(twin.suppressed_users)]
    return paged(request.query, "suppressed", rows)


def _source(request: web.Request) -> str:
    source = request.match_info["source"]
    if source not in catalog.SOURCES:
        raise missing("Source")
    return source


def _record(
    twin: Twin, wanted: dict[str, Any], kinds: frozenset[str], subjects: set[str], source_id: str | None
) -> dict[str, Any]:
    ids = wanted.get("subjectIds")
    if wanted.get("regulationType") not in kinds:
        raise invalid(f'"regulationType" must be one of {sorted(kinds)}', "regulationType")
    if wanted.get("subjectType") not in subjects:
        raise invalid(f'"subjectType" must be one of {sorted(subjects)}', "subjectType")
    if not isinstance(ids, list) or not all(isinstance(each, str) and each for each in ids):
        raise invalid('"subjectIds" must be an array of strings', "subjectIds")
    if not 1 <= len(ids) <= _MAX_IDS:
        raise invalid(f'"subjectIds" must contain 1 to {_MAX_IDS} items', "subjectIds")
    _check_month(twin, wanted["regulationType"], len(ids))
    name = f"reg_{len(twin.regulations) + 1}"
    regulation = Regulation(name, wanted["regulationType"], wanted["subjectType"], ids, twin.clock.seconds(), source_id)
    twin.regulations[name] = regulation
    _suppress(twin, regulation)
    return {"regulateId": name}


def _suppress(twin: Twin, regulation: Regulation) -> None:
    if regulation.subject_type != "USER_ID":
        return
    if regulation.kind == "UNSUPPRESS":
        if regulation.source_id is None:
            twin.suppressed_users.difference_update(regulation.subject_ids)
    elif regulation.kind.startswith("SUPPRESS"):
        twin.suppressed_users.update(regulation.subject_ids)


def _check_month(twin: Twin, kind: str, count: int) -> None:
    now = twin.clock.now()
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    this_month = (r for r in twin.regulations.values() if r.kind == kind and r.created >= month.timestamp())
    used = sum(len(regulation.subject_ids) for regulation in this_month)
    if used + count > _MAX_USERS_A_MONTH:
        next_month = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
        raise public_api.too_many(twin, Quota(False, used, 0, (next_month - now).total_seconds()))


def _is_kept(twin: Twin, regulation: Regulation) -> bool:
    return twin.clock.seconds() - regulation.created <= _KEPT_DAYS * _DAY


def _status(twin: Twin, regulation: Regulation) -> str:
    age = twin.clock.seconds() - regulation.created
    return "INITIALIZED" if age < 1 else "RUNNING" if age < _DAY else "FINISHED"


def _described(twin: Twin, regulation: Regulation) -> dict[str, Any]:
    status = _status(twin, regulation)
    finished = {"finishedAt": _iso(regulation.created + _DAY)} if status == "FINISHED" else {}
    destination = {"name": "Webhooks", "id": "d1", "status": status, "errString": ""} | finished
    stream = {"id": regulation.source_id or "src_sandbox", "destinationStatus": [destination]}
    return {
        "id": regulation.id,
        "workspaceId": catalog.WORKSPACE["id"],
        "overallStatus": status,
        "createdAt": _iso(regulation.created),
        "streamStatus": [stream],
    } | finished


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
