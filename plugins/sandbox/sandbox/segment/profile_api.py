"""The Profile API of the Segment twin: one profile at a time, by a lower-case identifier (segment.md section 3)."""

import base64
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from sandbox.segment import catalog, paging
from sandbox.segment.profiles import Profile
from sandbox.segment.refusals import RefusalError, profile
from sandbox.segment.regulations import finished_deletions
from sandbox.segment.twin import TWIN, Twin

Resource = Callable[[Twin, Profile, web.Request], dict[str, Any]]
_ROOT = "/v1/spaces/{space}/collections/{collection}/profiles"
_ENCODED = re.compile(r"(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+")
_PER_SECOND = 100
_EVENT_DAYS = 14


def install(app: web.Application) -> None:
    """Add the routes."""
    app.router.add_get(_ROOT, _guarded(_list))
    app.router.add_get(_ROOT + "/{id}/{resource}", _guarded(_resource))
    app.router.add_route("*", "/v1/spaces/{path:.*}", _guarded(_unknown))


def _guarded(handler: Callable[[Twin, web.Request], dict[str, Any]]) -> Callable[[web.Request], Any]:
    async def serve(request: web.Request) -> web.Response:
        twin = request.app[TWIN]
        headers = {"Request-Id": str(uuid.uuid4())}
        try:
            _check_token(twin, request)
            _check_rate(twin)
            return web.json_response(handler(twin, request), headers=headers)
        except RefusalError as refusal:
            refusal.headers |= headers
            raise

    return serve


def _check_token(twin: Twin, request: web.Request) -> None:
    token = catalog.PROFILE_TOKENS[twin.config.region]
    wanted = base64.b64encode(f"{token}:".encode()).decode()
    if request.headers.get("Authorization") != f"Basic {wanted}":
        raise profile(401, "authentication_error", "The access token is missing or invalid.")


def _check_rate(twin: Twin) -> None:
    if not twin.limiter.take("profiles", _PER_SECOND, 1.0).allowed:
        raise profile(429, "rate_limit_error", "Too many requests.")


def _unknown(_: Twin, __: web.Request) -> dict[str, Any]:
    raise profile(404, "not_found", "The resource was not found.")


def _check_place(request: web.Request) -> None:
    if request.match_info["collection"] not in {"users", "accounts"}:
        raise profile(400, "validation_error", "The collection must be users or accounts.")
    if request.match_info["space"] != catalog.SPACE["id"]:
        raise profile(404, "not_found", "The space was not found.")


def _list(twin: Twin, request: web.Request) -> dict[str, Any]:
    """Undocumented; its shape is a field report."""
    _check_place(request)
    rows = [{"segment_id": segment_id} for segment_id in twin.profiles.segment_ids()]
    found = rows if request.match_info["collection"] == "users" else []
    return _page(request, "data", found, 10, 200)


def _resource(twin: Twin, request: web.Request) -> dict[str, Any]:
    _check_place(request)
    resource = _RESOURCES.get(request.match_info["resource"])
    if resource is None:
        return _unknown(twin, request)
    return resource(twin, _profile_of(twin, request), request)


def _profile_of(twin: Twin, request: web.Request) -> Profile:
    """The profile of the raw path: 500 for unencoded characters, 404 for an id without type or with capitals."""
    raw = request.raw_path.partition("?")[0].split("/profiles/", 1)[1].rpartition("/")[0]
    kind, colon, value = raw.replace("%3A", ":", 1).replace("%3a", ":", 1).partition(":")
    if not _ENCODED.fullmatch(value or kind):
        raise profile(500, "internal_error", "Something went wrong.")
    value = unquote(value)
    capitals = kind != "segment_id" and value != value.lower()
    found = None if capitals or not colon else twin.profiles.find(kind, value)
    users = request.match_info["collection"] == "users"
    if found is None or not users or _is_deleted(twin, found):
        raise profile(404, "not_found", "Profile was not found.")
    return found


def _is_deleted(twin: Twin, found: Profile) -> bool:
    return found.person is not None and found.person.user_id in finished_deletions(twin)


def _traits(_: Twin, found: Profile, request: web.Request) -> dict[str, Any]:
    kind = request.query.get("class")
    if kind not in {None, "audience", "computed_trait"}:
        raise profile(400, "validation_error", "The class must be audience or computed_trait.")
    traits = found.traits(kind)
    include = _names(request, "include")
    rows = [(name, value) for name, value in traits.items() if not include or name in include]
    page = _page(request, "traits", rows, 10, 200)
    if request.query.get("verbose") == "true":
        page["traits"] = [(name, _verbose(value)) for name, value in page["traits"]]
    return page | {"traits": dict(page["traits"])}


def _verbose(value: Any) -> dict[str, Any]:
    return {"value": value, "source_id": "src_sandbox", "updated_at": "2026-02-03T09:00:00.12Z"}


def _external_ids(_: Twin, found: Profile, request: web.Request) -> dict[str, Any]:
    include = _names(request, "include")
    rows = [
        {
            "source_id": "src_sandbox",
            "collection": "users",
            "id": value,
            "type": kind,
            "created_at": f"2026-01-30T06:05:01.4046{'801234'[: number % 6]}Z",
            "encoding": "none",
            "first_message_id": f"msg-{found.segment_id}",
        }
        for number, (kind, value) in enumerate(found.external_ids())
        if not include or kind in include
    ]
    return _page(request, "data", rows, 25, 25)


def _events(twin: Twin, found: Profile, request: web.Request) -> dict[str, Any]:
    include, exclude = _names(request, "include"), _names(request, "exclude")
    sort = request.query.get("sort", "desc")
    if sort not in {"asc", "desc"}:
        raise profile(400, "validation_error", "The sort must be asc or desc.")
    start, end = _moment(request, "start"), _moment(request, "end")
    oldest = max(start or datetime.min.replace(tzinfo=UTC), twin.clock.now() - timedelta(days=_EVENT_DAYS))
    rows = [
        event
        for event in found.events
        if oldest <= datetime.fromisoformat(event["timestamp"]) <= (end or datetime.max.replace(tzinfo=UTC))
        and (not include or event["event"] in include)
        and event["event"] not in exclude
    ]
    rows.sort(key=lambda event: str(event["timestamp"]), reverse=sort == "desc")
    return _page(request, "data", rows, 100, 100)


def _metadata(_: Twin, found: Profile, __: web.Request) -> dict[str, Any]:
    times = {"created_at": "2026-01-30T06:05:01.40468Z", "updated_at": "2026-02-03T09:00:00.5Z"}
    return {"metadata": {"first_message_id": f"msg-{found.segment_id}", "first_source_id": "src_sandbox"} | times}


def _links(_: Twin, __: Profile, request: web.Request) -> dict[str, Any]:
    _limit(request, 20, 20)
    return {"data": []}


_RESOURCES: dict[str, Resource] = {
    "traits": _traits,
    "external_ids": _external_ids,
    "events": _events,
    "metadata": _metadata,
    "links": _links,
}


def _names(request: web.Request, parameter: str) -> frozenset[str]:
    return frozenset(filter(None, request.query.get(parameter, "").split(",")))


def _moment(request: web.Request, parameter: str) -> datetime | None:
    text = request.query.get(parameter)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise profile(400, "validation_error", f"The {parameter} must be an ISO 8601 time.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _limit(request: web.Request, default: int, maximum: int) -> int:
    text = request.query.get("limit", str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= maximum:
        raise profile(400, "validation_error", f"The limit must be from 1 to {maximum}.")
    return int(text)


def _page(request: web.Request, name: str, rows: list[Any], default: int, maximum: int) -> dict[str, Any]:
    limit = _limit(request, default, maximum)
    try:
        start = paging.offset(request.query["next"]) if request.query.get("next") else 0
    except ValueError as error:
        raise profile(400, "validation_error", "The cursor is invalid.") from error
    more = start + limit < len(rows)
    following = paging.cursor(start + limit) if more else ""
    cursor = {"url": request.path, "has_more": more, "next": following, "limit": limit}
    return {name: rows[start : start + limit], "cursor": cursor}
