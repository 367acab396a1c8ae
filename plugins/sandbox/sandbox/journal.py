"""Records the requests of a twin and counts them per route, without query values and bodies."""

from collections import Counter, deque
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

KEPT = 20_000
ROUTES = web.RequestKey("routes", list[str])
"""Key of a request under which a twin lists the logical routes it served, such as `POST /{audience}/users`."""


class Journal:
    """The last 20,000 requests of one twin, oldest first, and the count of every logical route."""

    def __init__(self) -> None:
        self.entries: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.routes: Counter[str] = Counter()
        self.total = 0

    def note(self, request: web.Request, status: int | None) -> None:
        """Record one request; `status` None means that the connection was cut instead of answered."""
        routes = request.get(ROUTES) or [f"{request.method} {request.path}"]
        self.total += 1
        self.routes.update(routes)
        entry = {"method": request.method, "path": request.path, "status": status, "routes": routes}
        self.entries.append(entry)

    async def read(self, _: web.Request) -> web.Response:
        """Answer `GET /_twin/requests`."""
        return web.json_response({"total": self.total, "routes": self.routes, "requests": list(self.entries)})

    async def clear(self, _: web.Request) -> web.Response:
        """Answer `DELETE /_twin/requests`."""
        self.entries.clear()
        self.routes.clear()
        self.total = 0
        return web.json_response({"success": True})


def install(app: web.Application) -> None:
    """Give a twin its journal; call it before any other middleware is added, so that faults are recorded too."""
    journal = Journal()

    @web.middleware
    async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/_twin/"):
            return await handler(request)
        status: int | None = 500
        try:
            response = await handler(request)
            cut = request.transport is None or request.transport.is_closing()
            status = None if cut else response.status
            return response
        except web.HTTPException as answer:
            status = answer.status
            raise
        finally:
            journal.note(request, status)

    app.middlewares.append(record)
    app.router.add_get("/_twin/requests", journal.read)
    app.router.add_delete("/_twin/requests", journal.clear)
