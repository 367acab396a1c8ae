"""Audience previews of the Public API twin: a size and a sample after a while, never the membership (P7)."""

from datetime import UTC, datetime
from itertools import islice
from typing import Any

from aiohttp import web

from sandbox.segment import catalog, public_api
from sandbox.segment.clock import Quota
from sandbox.segment.refusals import invalid, missing
from sandbox.segment.twin import Twin

MONTHLY = 700
_SECONDS_TO_COMPUTE = 2.0
_SAMPLE = 10


def install(app: web.Application) -> None:
    """Add the two routes."""
    path = "/spaces/{space}/audiences/previews"
    public_api.add(app, "POST", path, _create, 5)
    public_api.add(app, "GET", path + "/{preview}", _read, 300)


async def _create(twin: Twin, request: web.Request) -> dict[str, Any]:
    public_api.check_space(request)
    wanted = await public_api.body(request)
    definition = wanted.get("definition")
    if wanted.get("audienceType") not in {"USERS", "ACCOUNTS", "LINKED"}:
        raise invalid('"audienceType" must be one of [USERS, ACCOUNTS, LINKED]', "audienceType")
    if not isinstance(definition, dict) or not isinstance(definition.get("query"), str):
        raise invalid('"definition.query" is required', "definition.query")
    _take_of_month(twin)
    preview = {
        "id": f"prv_{len(twin.previews) + 1}",
        "audienceType": wanted["audienceType"],
        "definition": definition,
        "options": wanted.get("options", {}),
    }
    twin.previews[preview["id"]] = preview | {"asked": twin.clock.seconds()}
    return {"audiencePreview": preview | {"status": "RUNNING"}}


async def _read(twin: Twin, request: web.Request) -> dict[str, Any]:
    public_api.check_space(request)
    kept = twin.previews.get(request.match_info["preview"])
    if kept is None:
        raise missing("Audience preview")
    preview = {name: value for name, value in kept.items() if name != "asked"}
    if twin.clock.seconds() < kept["asked"] + _SECONDS_TO_COMPUTE:
        return {"audiencePreview": preview | {"status": "RUNNING"}}
    return {"audiencePreview": preview | _computed(twin, preview)}


def _computed(twin: Twin, preview: dict[str, Any]) -> dict[str, Any]:
    """The twin evaluates no queries: it knows those of its own audiences, any other one fails."""
    query = preview["definition"]["query"]
    known = next((audience for audience in catalog.AUDIENCES if audience.query == query), None)
    if known is None:
        return {"status": "FAILED", "failureReason": "The sandbox knows only the queries of its own audiences."}
    sample = [{"id": person.segment_id} for person in islice(twin.population.members(known.key), _SAMPLE)]
    count = sum(1 for _ in twin.population.members(known.key))
    return {"status": "COMPLETED", "results": sample, "size": {"count": count, "type": "USERS"}}


def _take_of_month(twin: Twin) -> None:
    now = twin.clock.now()
    next_month = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
    used = sum(1 for each in twin.previews.values() if _month(each["asked"]) == (now.year, now.month))
    if used >= MONTHLY:
        raise public_api.too_many(twin, Quota(False, used + 1, 0, (next_month - now).total_seconds()))


def _month(seconds: float) -> tuple[int, int]:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.year, moment.month
