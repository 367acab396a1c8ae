"""The Meta twin as an HTTP application: the Graph under every path, the twin's own controls under /_twin."""

from collections.abc import Iterable

import msgspec
from aiohttp import web

from sandbox import faults, journal
from sandbox.directory import Person
from sandbox.meta import auth, batch, graph, truth
from sandbox.meta.calls import Call, read_call
from sandbox.meta.directory import Directory
from sandbox.meta.errors import GraphError
from sandbox.meta.state import Twin

TWIN = web.AppKey("twin", Twin)
MAX_URL = 8_192
MAX_BODY = 64 * 2**20
MAX_LINE = 64 * 2**20
TOO_LONG = "<html><head><title>414 Request-URI Too Large</title></head><body>414 Request-URI Too Large</body></html>"


def create_app(people: Iterable[Person] = ()) -> web.Application:
    """The twin as an aiohttp application that knows `people` as the platform's own users."""
    twin = Twin(Directory(people))
    app = web.Application(client_max_size=MAX_BODY, handler_args={"max_line_size": MAX_LINE})
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
    if len(request.raw_path) > MAX_URL:
        return web.Response(status=414, text=TOO_LONG, content_type="text/html")
    try:
        call = await read_call(request)
        if call.path == ("dialog", "oauth"):
            return web.Response(status=302, headers={"Location": auth.consent(twin, call)})
    except GraphError as error:
        return _response(graph.Reply(error.status, error.envelope()))
    partial = request.get(faults.PARTIAL)
    call.rows_taken = partial.rows if partial else None
    reply = _answer(twin, call)
    request[journal.ROUTES] = call.routes
    return _response(reply)


def _answer(twin: Twin, call: Call) -> graph.Reply:
    is_batch = not call.path and call.method == "POST" and "batch" in call.params
    return (batch.answer if is_batch else graph.answer)(twin, call)


def _response(reply: graph.Reply) -> web.Response:
    return web.Response(
        status=reply.status,
        body=msgspec.json.encode(reply.body),
        headers=reply.headers,
        content_type="application/json",
        charset="utf-8",
    )
