"""The Google twin as an HTTP application: both APIs and the OAuth server, the twin's own controls under /_twin."""

import secrets
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from sandbox import faults, journal
from sandbox.google import ads, data_manager, oauth, truth
from sandbox.google.calls import Call
from sandbox.google.config import Token
from sandbox.google.directory import Directory, Person
from sandbox.google.errors import ApiError, not_found
from sandbox.google.state import Twin
from sandbox.google.times import http_date

TWIN = web.AppKey("twin", Twin)
MAX_BODY = 64 * 2**20


def create_app(people: Iterable[Person] = ()) -> web.Application:
    """The twin as an aiohttp application that knows `people` as Google's own users."""
    twin = Twin(Directory(people))
    app = web.Application(client_max_size=MAX_BODY)
    app[TWIN] = twin
    journal.install(app)
    faults.install(app)
    truth.install(app, twin)

    async def serve(request: web.Request) -> web.Response:
        response = await _serve(twin, request)
        response.headers["Date"] = http_date(twin.clock.now())
        return response

    app.router.add_route("*", "/{path:.*}", serve)
    return app


def learn(app: web.Application, people: Iterable[Person]) -> None:
    """Tell a running twin of new people, or of new identifiers of known ones."""
    app[TWIN].directory.learn(people)


async def _serve(twin: Twin, request: web.Request) -> web.Response:
    try:
        if request.path == oauth.CONSENT and request.method == "GET":
            return web.Response(status=302, headers={"Location": oauth.consent(twin, dict(request.query))})
        if request.path in oauth.TOKEN_PATHS and request.method == "POST":
            return _answer(oauth.token(twin, await _form(request), str(request.url)))
        if request.path == oauth.REVOKE and request.method == "POST":
            return _answer(oauth.revoke(twin, dict(request.query) | await _form(request)))
        if request.path.startswith(data_manager.PREFIX):
            return await _data_manager(twin, request)
        if ads.PATH.fullmatch(request.path):
            return await _ads(twin, request)
        raise not_found("Method not found.")
    except oauth.OAuthError as error:
        return _answer(error.body(), error.status)
    except ApiError as error:
        return _answer(error.envelope(), error.status, error.headers)


async def _data_manager(twin: Twin, request: web.Request) -> web.Response:
    call = await _call(request)
    route, body = data_manager.answer(twin, call, request.headers.get("Authorization", ""))
    request[journal.ROUTES] = [route]
    return _answer(body)


async def _ads(twin: Twin, request: web.Request) -> web.Response:
    number = {"request-id": secrets.token_urlsafe(16)}
    try:
        route, body = ads.answer(twin, await _call(request), request.headers.get("Authorization", ""))
    except ApiError as error:
        return _answer(ads.wrapped(request.path, error), error.status, error.headers | number)
    request[journal.ROUTES] = [route]
    return _answer(body, headers=number)


async def _call(request: web.Request) -> Call:
    partial = request.get(faults.PARTIAL)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Call(
        request.method,
        request.path,
        dict(request.query),
        headers,
        await request.read(),
        Token(""),
        rows_taken=partial.rows if partial else None,
    )


async def _form(request: web.Request) -> dict[str, str]:
    return dict(parse_qsl((await request.read()).decode("utf-8", "replace"), keep_blank_values=True))


def _answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        headers=headers,
        content_type="application/json",
        charset="utf-8",
    )
