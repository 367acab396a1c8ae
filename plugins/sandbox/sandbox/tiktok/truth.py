"""The TikTok twin's own controls under /_twin: the ground truth, configuration and clock."""

from collections.abc import Iterable
from typing import Any

import msgspec
from aiohttp import web

from sandbox.tiktok import config
from sandbox.tiktok.audiences import settle
from sandbox.tiktok.state import Audience, Twin

COUNTERS = ("rows_received", "requests_add", "requests_remove", "requests_replace")


class Advance(msgspec.Struct, forbid_unknown_fields=True):
    """A move of the clock, in seconds."""

    advance: float


class Controls:
    """Handlers of the control routes of one twin."""

    def __init__(self, twin: Twin) -> None:
        self.twin = twin

    async def read_config(self, _: web.Request) -> web.Response:
        """Answer `GET /_twin/config`."""
        return _json(self.twin.config)

    async def set_config(self, request: web.Request) -> web.Response:
        """Answer `POST /_twin/config`: a merge patch; one that is not understood changes nothing."""
        patch = msgspec.json.decode(await request.read(), type=dict[str, Any])
        self.twin.config = config.patched(self.twin.config, patch)
        return _json(self.twin.config)

    async def advance(self, request: web.Request) -> web.Response:
        """Answer `POST /_twin/clock`."""
        self.twin.clock.offset += msgspec.json.decode(await request.read(), type=Advance).advance
        return _json({"now": self.twin.clock.now()})

    async def audiences(self, _: web.Request) -> web.Response:
        """Answer `GET /_twin/audiences`, deleted ones included."""
        return _json([_described(self.twin, audience) for audience in self.twin.audiences.values()])

    async def people(self, request: web.Request) -> web.Response:
        """Answer `GET /_twin/audiences/{id}/people`: one `human_id` a line, as JSON text."""
        ids = self.twin.directory.ids
        return _lines(ids[number] for number in sorted(self._audience(request).members.people()))

    async def rows(self, request: web.Request) -> web.Response:
        """Answer `GET /_twin/audiences/{id}/rows`: one object a line, keys as in the schema, empty cells left out."""
        return _lines(self._audience(request).members.described())

    async def events(self, _: web.Request) -> web.Response:
        """Answer `GET /_twin/events`: one accepted server event a line."""
        return _lines(self.twin.events)

    async def stats(self, _: web.Request) -> web.Response:
        """Answer `GET /_twin/stats`: sums over all audiences, events, and the time of the twin."""
        twin = self.twin
        counters = sum((audience.counters for audience in twin.audiences.values()), twin.counters)
        alive = [audience for audience in twin.audiences.values() if not audience.deleted]
        unique = sum(not event["duplicate"] for event in twin.events)
        matched = sum(event["person_id"] is not None for event in twin.events)
        events = {"received": len(twin.events), "unique": unique, "matched": matched}
        totals = {"audiences": len(alive), "people_known": len(twin.directory.ids), "now": twin.clock.now()}
        return _json(totals | {"counters": counters, "events": events})

    def _audience(self, request: web.Request) -> Audience:
        audience = self.twin.audiences.get(request.match_info["id"])
        if audience is None:
            raise web.HTTPNotFound(text='{"error": "no such audience"}', content_type="application/json")
        settle(self.twin, audience)
        return audience


def _described(twin: Twin, audience: Audience) -> dict[str, Any]:
    settle(twin, audience)
    about: dict[str, Any] = {"id": audience.audience_id, "account_id": audience.advertiser_id}
    about |= {"deleted": audience.deleted, "name": audience.name, "streaming": audience.streaming}
    about |= {name: audience.counters[name] for name in COUNTERS}
    held = {"held_rows": len(audience.members.rows), "held_people": len(audience.members.people())}
    return about | held | {"processing": audience.job is not None, "error_msg": audience.error_msg}


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _lines(values: Iterable[Any]) -> web.Response:
    body = b"".join(msgspec.json.encode(value) + b"\n" for value in values)
    return web.Response(body=body, content_type="application/x-ndjson")


@web.middleware
async def explain(request: web.Request, handler: Any) -> web.StreamResponse:
    """Answer 400 with the place when the body of a control is not understood."""
    try:
        response: web.StreamResponse = await handler(request)
    except msgspec.DecodeError as error:
        return web.json_response({"error": f"{request.path}: {error}"}, status=400)
    return response


def install(app: web.Application, twin: Twin) -> None:
    """Give a twin its control routes."""
    controls = Controls(twin)
    app.middlewares.append(explain)
    app.router.add_get("/_twin/config", controls.read_config)
    app.router.add_post("/_twin/config", controls.set_config)
    app.router.add_post("/_twin/clock", controls.advance)
    app.router.add_get("/_twin/audiences", controls.audiences)
    app.router.add_get("/_twin/audiences/{id}/people", controls.people)
    app.router.add_get("/_twin/audiences/{id}/rows", controls.rows)
    app.router.add_get("/_twin/events", controls.events)
    app.router.add_get("/_twin/stats", controls.stats)
