"""The Public API of the Segment twin: credentials, rate limits, envelope, read-only resources (segment.md 2)."""

import math
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
from aiohttp import web

from sandbox.segment import catalog
from sandbox.segment.clock import Quota
from sandbox.segment.paging import paged
from sandbox.segment.refusals import RefusalError, invalid, missing, public
from sandbox.segment.twin import TWIN, Twin

Handler = Callable[[Twin, web.Request], Awaitable[dict[str, Any]]]
GENERAL_LIMIT = 600
"""Requests a minute where the contract states none."""
_MEDIA_TYPE = re.compile(r"application/(?:vnd\.segment\.(?:v1|v1beta|v1alpha|stable|beta|alpha)\+)?json")


def install(app: web.Application) -> None:
    """Add the routes P1 to P6, P8 and P9."""
    audience = "/spaces/{space}/audiences/{audience}"
    add(app, "GET", "/", _workspace)
    add(app, "GET", "/spaces", _spaces)
    add(app, "GET", "/spaces/{space}", _space)
    add(app, "GET", "/spaces/{space}/audiences", _audiences, 60)
    add(app, "GET", audience, _audience, 100)
    add(app, "GET", f"{audience}/audience-references", _references, 25)
    add(app, "POST", f"{audience}/runs", _run, 50)
    add(app, "GET", "/spaces/{space}/computed-traits", _computed_traits, 25)
    add(app, "GET", "/spaces/{space}/computed-traits/{trait}", _computed_trait, 100)


def install_fallback(app: web.Application) -> None:
    """Answer every path nobody else serves; to be called last."""
    add(app, "*", "/{path:.*}", _unknown)


def add(app: web.Application, method: str, path: str, handler: Handler, limit: int = GENERAL_LIMIT) -> None:
    """Serve a resource to holders of the workspace token, at most `limit` times a minute."""

    async def serve(request: web.Request) -> web.Response:
        twin = request.app[TWIN]
        _check_token(twin, request)
        quota = twin.limiter.take(f"{method} {path}", limit)
        if not quota.allowed:
            raise too_many(twin, quota)
        _check_ids(request)
        data = await handler(twin, request)
        body = msgspec.json.encode({"data": data})
        return web.Response(body=body, content_type=_media_type(request), headers=_headers(twin, quota))

    app.router.add_route(method, path, serve)


def too_many(twin: Twin, quota: Quota) -> RefusalError:
    """The 429 of section 2.3: body with milliseconds, `Retry-After` in seconds, `X-RateLimit-Reset` as a date."""
    data = {
        "remainingPoints": 0,
        "msBeforeNext": math.ceil(quota.reset_seconds * 1000),
        "consumedPoints": quota.consumed,
    }
    error = {"type": "RequestError", "message": "Too many requests", "data": data}
    headers = {"Retry-After": str(math.ceil(quota.reset_seconds))} | _headers(twin, quota)
    return RefusalError(429, {"errors": [error]}, headers)


async def body(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request. Raises a 422 for anything else."""
    try:
        return msgspec.json.decode(await request.read(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise invalid('"body" must be a JSON object') from error


def check_space(request: web.Request) -> None:
    """Raises a 404 unless the path names the sandbox space."""
    if request.match_info["space"] != catalog.SPACE["id"]:
        raise missing("Space")


def audience_of(request: web.Request) -> catalog.Audience:
    """The audience the path names. Raises a 404 for an unknown space or audience."""
    check_space(request)
    wanted = request.match_info["audience"]
    for audience in catalog.AUDIENCES:
        if audience.id == wanted:
            return audience
    raise missing("Audience")


def _check_token(twin: Twin, request: web.Request) -> None:
    token = catalog.PAPI_TOKENS[twin.config.region]
    if request.headers.get("Authorization") != f"Bearer {token}":
        raise public(401, "unauthorized", "The token is missing, unknown here, or not a Public API token.")


def _check_ids(request: web.Request) -> None:
    for name, value in request.match_info.items():
        if name != "path" and len(value) > 255:
            raise invalid(f'"{name}Id" length must be less than or equal to 255 characters long', f"{name}Id")


def _media_type(request: web.Request) -> str:
    wanted = (part.partition(";")[0].strip() for part in request.headers.get("Accept", "").split(","))
    return next((kind for kind in wanted if _MEDIA_TYPE.fullmatch(kind)), "application/json")


def _headers(twin: Twin, quota: Quota) -> dict[str, str]:
    reset = twin.clock.now() + timedelta(seconds=quota.reset_seconds)
    return {
        "X-RateLimit-Consumed": str(quota.consumed),
        "X-RateLimit-Remaining": str(quota.remaining),
        "X-RateLimit-Reset": format_datetime(reset, usegmt=True),
    }


async def _workspace(_: Twin, __: web.Request) -> dict[str, Any]:
    return {"workspace": catalog.WORKSPACE}


async def _spaces(_: Twin, request: web.Request) -> dict[str, Any]:
    return paged(request.query, "spaces", [catalog.SPACE])


async def _space(_: Twin, request: web.Request) -> dict[str, Any]:
    check_space(request)
    return {"space": catalog.SPACE}


async def _audiences(twin: Twin, request: web.Request) -> dict[str, Any]:
    check_space(request)
    found = [audience for audience in catalog.AUDIENCES if _fits(audience, request)]
    schedules = _include_schedules(request)
    page = paged(request.query, "audiences", found, maximum=200)
    return page | {"audiences": [catalog.described(each, twin.population, schedules) for each in page["audiences"]]}


async def _audience(twin: Twin, request: web.Request) -> dict[str, Any]:
    audience = audience_of(request)
    return {"audience": catalog.described(audience, twin.population, _include_schedules(request))}


async def _references(twin: Twin, request: web.Request) -> dict[str, Any]:
    key = audience_of(request).key
    users = [each for each in catalog.AUDIENCES if each.uses == key]
    return paged(request.query, "audiences", [catalog.described(each, twin.population, False) for each in users])


async def _run(twin: Twin, request: web.Request) -> dict[str, Any]:
    if audience_of(request).kind != "LINKED":
        raise invalid("Only an audience of type LINKED can be forced to run", "audienceId")
    return {"run": {"id": f"run_{int(twin.clock.seconds())}", "status": "RUNNING"}}


async def _computed_traits(_: Twin, request: web.Request) -> dict[str, Any]:
    check_space(request)
    return paged(request.query, "computedTraits", [catalog.described_trait(key) for key in catalog.COMPUTED_TRAITS])


async def _computed_trait(_: Twin, request: web.Request) -> dict[str, Any]:
    check_space(request)
    key = request.match_info["trait"].removeprefix("ct_")
    if key not in catalog.COMPUTED_TRAITS:
        raise missing("Computed trait")
    return {"computedTrait": catalog.described_trait(key)}


async def _unknown(_: Twin, __: web.Request) -> dict[str, Any]:
    raise missing("Resource")


def _include_schedules(request: web.Request) -> bool:
    include = request.query.get("include")
    if include not in {None, "schedules"}:
        raise invalid('"include" must be [schedules]', "include")
    return include is not None


def _fits(audience: catalog.Audience, request: web.Request) -> bool:
    kind, text = (
        request.query.get(f"search.{part}", request.query.get(f"search[{part}]")) for part in ("type", "query")
    )
    if kind is None and text is None:
        return True
    if kind not in {"KEY", "NAME", "DEFINITION"}:
        raise invalid('"search.type" must be one of [KEY, NAME, DEFINITION]', "search.type")
    if text is None or len(text) > 255:
        raise invalid('"search.query" is required and at most 255 characters long', "search.query")
    if kind == "KEY":
        return audience.key.startswith(text)
    return text.lower() in (audience.name if kind == "NAME" else audience.query).lower()
