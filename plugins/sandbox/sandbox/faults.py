"""Faults on demand for every twin: which requests fail, how, and how often."""

import asyncio
import re
from typing import Any, Literal

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

HTML_PAGE = "<!DOCTYPE html><html><head><title>Error</title></head><body>Sorry, something went wrong.</body></html>"

Kind = Literal[
    "status", "reset", "accepted_then_reset", "accepted_then_error", "slow", "broken_json", "redirect", "partial"
]


class Match(msgspec.Struct, forbid_unknown_fields=True):
    """Which requests: HTTP method (a `method=` in the query counts as one) and a pattern searched in the path."""

    method: str | None = None
    path_regex: str = ""

    def fits(self, request: web.Request) -> bool:
        """Whether the fault is meant for this request."""
        method = request.query.get("method", request.method).upper()
        return self.method in (None, method) and re.search(self.path_regex, request.path) is not None


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """One fault: plays `times` times (null: always) after `after` fitting requests have passed unharmed."""

    kind: Kind
    match: Match = msgspec.field(default_factory=Match)
    times: int | None = 1
    after: int = 0
    status: int = 500
    headers: dict[str, str] = {}
    body: Any = HTML_PAGE
    seconds: float = 1.0
    drip: bool = False
    location: str = "http://127.0.0.1:9/moved"
    rows: int = 0

    def claims(self, request: web.Request) -> bool:
        """Whether it plays on this request; counts down `after` and `times`."""
        if self.times == 0 or not self.match.fits(request):
            return False
        if self.after:
            self.after -= 1
            return False
        self.times = None if self.times is None else self.times - 1
        return True

    def answer(self) -> web.Response:
        """The response the fault describes: a text body is sent as HTML, anything else as JSON."""
        if isinstance(self.body, str):
            return web.Response(status=self.status, text=self.body, content_type="text/html", headers=self.headers)
        return web.json_response(self.body, status=self.status, headers=self.headers)


PARTIAL = web.RequestKey("partial", Fault)
"""Key of a request under which a twin finds the `partial` fault it is to play."""


class Faults:
    """The faults set on one twin, in the order in which they are tried."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    async def add(self, request: web.Request) -> web.Response:
        """Answer `POST /_twin/faults`; a list that is not understood sets nothing."""
        try:
            faults = msgspec.json.decode(await request.read(), type=list[Fault])
            for fault in faults:
                re.compile(fault.match.path_regex)
        except (msgspec.DecodeError, re.error) as error:
            return web.json_response({"error": f"faults not understood: {error}"}, status=400)
        self.faults += faults
        return await self.read(request)

    async def read(self, _: web.Request) -> web.Response:
        """Answer `GET /_twin/faults`: each fault with the counts that are left."""
        return web.Response(body=msgspec.json.encode(self.faults), content_type="application/json")

    async def clear(self, request: web.Request) -> web.Response:
        """Answer `DELETE /_twin/faults`."""
        self.faults.clear()
        return await self.read(request)

    def claimed(self, request: web.Request) -> Fault | None:
        """The first fault that plays on this request."""
        return next((fault for fault in self.faults if fault.claims(request)), None)


def install(app: web.Application) -> None:
    """Let a twin be told to fail through `/_twin/faults`; the control routes themselves never fail."""
    faults = Faults()

    @web.middleware
    async def fail(request: web.Request, handler: Handler) -> web.StreamResponse:
        fault = None if request.path.startswith("/_twin/") else faults.claimed(request)
        return await (_play(fault, request, handler) if fault else handler(request))

    app.middlewares.append(fail)
    app.router.add_post("/_twin/faults", faults.add)
    app.router.add_get("/_twin/faults", faults.read)
    app.router.add_delete("/_twin/faults", faults.clear)


async def _play(fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    await request.read()
    match fault.kind:
        case "status":
            return fault.answer()
        case "reset":
            return _cut(request)
        case "accepted_then_reset":
            await handler(request)
            return _cut(request)
        case "accepted_then_error":
            await handler(request)
            return fault.answer()
        case "redirect":
            return web.Response(status=302, headers={"Location": fault.location})
        case "broken_json":
            return _broken(await handler(request))
        case "slow":
            return await _slowly(fault, request, handler)
        case "partial":
            request[PARTIAL] = fault
            return await handler(request)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _broken(response: web.StreamResponse) -> web.Response:
    """The first half of a body under its old status and type."""
    body = _body(response)
    return web.Response(status=response.status, body=body[: len(body) // 2], content_type="application/json")


async def _slowly(fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Wait, then answer; a drip sends the head at once and the body in ten pieces over the same time."""
    if not fault.drip:
        await asyncio.sleep(fault.seconds)
        return await handler(request)
    whole = await handler(request)
    body = _body(whole)
    dripping = web.StreamResponse(status=whole.status, headers={"Content-Type": whole.content_type})
    await dripping.prepare(request)
    size = max(1, -(-len(body) // 10))
    for start in range(0, len(body), size):
        await asyncio.sleep(fault.seconds / 10)
        await dripping.write(body[start : start + size])
    await dripping.write_eof()
    return dripping


def _body(response: web.StreamResponse) -> bytes:
    body = response.body if isinstance(response, web.Response) else None
    return body if isinstance(body, bytes) else b""
