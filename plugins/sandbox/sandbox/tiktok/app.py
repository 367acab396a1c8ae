"""The TikTok twin as an HTTP application: the API under every path, the twin's own controls under /_twin."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from sandbox import faults, journal
from sandbox.directory import Person
from sandbox.tiktok import audiences, events, files, oauth, streaming, truth
from sandbox.tiktok.calls import Call, read_call
from sandbox.tiktok.directory import Directory
from sandbox.tiktok.errors import ApiError
from sandbox.tiktok.state import Twin

TWIN = web.AppKey("twin", Twin)
VERSION = "/open_api/v1.3/"
CONSENT = "/portal/auth"
MAX_BODY = 64 * 2**20
READ_AUDIENCES, WRITE_AUDIENCES, EVENTS, PIXELS = (3, 30), (3, 31), (5, 8), (8,)


@dataclass(frozen=True)
class Route:
    """One endpoint: its verb, what it does, and which scopes allow it (none: it checks the caller itself)."""

    method: str
    handler: Callable[[Twin, Call], dict[str, Any]]
    scopes: tuple[int, ...] = ()


ROUTES = {
    "oauth2/access_token/": Route("POST", oauth.access_token),
    "oauth2/advertiser/get/": Route("GET", oauth.advertisers),
    "oauth2/revoke_token/": Route("POST", oauth.revoke),
    "segment/audience/": Route("POST", streaming.segment, WRITE_AUDIENCES),
    "segment/mapping/": Route("POST", streaming.mapping, WRITE_AUDIENCES),
    "dmp/custom_audience/file/upload/": Route("POST", files.upload, WRITE_AUDIENCES),
    "dmp/custom_audience/create/": Route("POST", files.create, WRITE_AUDIENCES),
    "dmp/custom_audience/update/": Route("POST", files.update, WRITE_AUDIENCES),
    "dmp/custom_audience/delete/": Route("POST", audiences.delete, WRITE_AUDIENCES),
    "dmp/custom_audience/get/": Route("GET", audiences.get, READ_AUDIENCES),
    "dmp/custom_audience/list/": Route("GET", audiences.listed, READ_AUDIENCES),
    "pixel/list/": Route("GET", events.pixels, PIXELS),
    "event/track/": Route("POST", events.track, EVENTS),
}
"""By path below the version; the slash at the end is part of it."""


def create_app(people: Iterable[Person] = ()) -> web.Application:
    """The twin as an aiohttp application that knows `people` as the platform's own users."""
    twin = Twin(Directory(people))
    app = web.Application(client_max_size=MAX_BODY)
    app[TWIN] = twin
    journal.install(app)
    faults.install(app)
    truth.install(app, twin)

    async def serve(request: web.Request) -> web.Response:
        return await _serve(twin, request)

    app.router.add_route("*", "/{path:.*}", serve)
    return app


def learn(app: web.Application, people: Iterable[Person]) -> None:
    """Tell a running twin of new people, or of new identifiers of known ones."""
    app[TWIN].directory.learn(people)


async def _serve(twin: Twin, request: web.Request) -> web.Response:
    try:
        if request.path == CONSENT:
            return web.Response(status=302, headers={"Location": oauth.consent(twin, dict(request.query))})
        endpoint = request.path.removeprefix(VERSION)
        route = ROUTES.get(endpoint) if request.path.startswith(VERSION) else None
        if route is None:
            return web.Response(status=404, text="404 page not found")
        if route.method != request.method:
            return web.Response(status=405, text="405 method not allowed")
        return _answer(_done(twin, route, await read_call(request, endpoint)))
    except ApiError as error:
        return _answer({}, error.code, error.message)


def _done(twin: Twin, route: Route, call: Call) -> dict[str, Any]:
    """What the endpoint answers. Raises ApiError."""
    if route.scopes:
        call.grant = oauth.authenticate(twin, call)
        twin.budget.spend(twin.clock.now(), twin.config.app, call.endpoint)
        if call.endpoint.startswith("segment/") and not twin.config.app.allow_list:
            raise ApiError(40118, "The app is not on the allow-list of this endpoint.")
        oauth.require(call.grant, route.scopes)
    return route.handler(twin, call)


def _answer(data: dict[str, Any], code: int = 0, message: str = "OK") -> web.Response:
    trace = datetime.now(UTC).strftime("%Y%m%d%H%M%S") + secrets.token_hex(9).upper()
    body = {"code": code, "message": message, "request_id": trace, "data": data}
    return web.Response(
        body=msgspec.json.encode(body),
        headers={"X-TT-LOGID": trace, "x-tt-trace-id": secrets.token_hex(16)},
        content_type="application/json",
    )
