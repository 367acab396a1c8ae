"""The Google twin's own controls under /_twin: the ground truth, configuration and clock."""

from collections.abc import Iterable
from typing import Any

import msgspec
from aiohttp import web

from sandbox.google import config
from sandbox.google.processing import people, settle
from sandbox.google.state import Twin, UserList

COUNTERS = (
    "rows_received",
    "rows_refused",
    "partly_removed",
    "requests_ingest",
    "requests_remove",
    "requests_remove_all",
)


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
        """Answer `GET /_twin/audiences`: every user list, deleted ones included."""
        settle(self.twin)
        return _json([_described(self.twin, user_list) for user_list in self.twin.lists.values()])

    async def people(self, request: web.Request) -> web.Response:
        """Answer `GET /_twin/audiences/{id}/people`: one `human_id` a line, as JSON text."""
        directory = self.twin.directory
        held = people(directory, self._list(request).members.members())
        return _lines(directory.ids[number] for number in sorted(held))

    async def rows(self, request: web.Request) -> web.Response:
        """Answer `GET /_twin/audiences/{id}/rows`: one member a line, its identifiers by kind."""
        return _lines(self._list(request).members.described())

    async def submissions(self, _: web.Request) -> web.Response:
        """Answer `GET /_twin/submissions`: every accepted request with what became of it."""
        settle(self.twin)
        return _json(
            [
                {
                    "request_id": one.request_id,
                    "kind": one.kind,
                    "sent": one.sent,
                    "due": one.due,
                    "outcome": one.outcome,
                }
                for one in self.twin.submissions.values()
            ]
        )

    async def events(self, _: web.Request) -> web.Response:
        """Answer `GET /_twin/events`: one accepted event a line."""
        return _lines(self.twin.events)

    async def stats(self, _: web.Request) -> web.Response:
        """Answer `GET /_twin/stats`: sums over all lists, events, and the time of the twin."""
        twin = self.twin
        settle(twin)
        counters = sum((user_list.counters for user_list in twin.lists.values()), twin.counters)
        alive = [user_list for user_list in twin.lists.values() if not user_list.deleted]
        unique = sum(not event["duplicate"] for event in twin.events)
        matched = sum(event["person_id"] is not None for event in twin.events)
        events = {"received": len(twin.events), "unique": unique, "matched": matched}
        totals = {"audiences": len(alive), "people_known": len(twin.directory.ids), "now": twin.clock.now()}
        return _json(totals | {"pending": len(twin.pending), "counters": counters, "events": events})

    def _list(self, request: web.Request) -> UserList:
        settle(self.twin)
        user_list = self.twin.lists.get(request.match_info["id"])
        if user_list is None:
            raise web.HTTPNotFound(text='{"error": "no such audience"}', content_type="application/json")
        return user_list


def _described(twin: Twin, user_list: UserList) -> dict[str, Any]:
    about: dict[str, Any] = {"id": user_list.list_id, "account_id": user_list.account_id}
    about |= {"deleted": user_list.deleted, "name": user_list.fields["displayName"]}
    about |= {"integration_code": user_list.fields.get("integrationCode")}
    about |= {name: user_list.counters[name] for name in COUNTERS}
    members = user_list.members.members()
    return about | {"held_rows": len(members), "held_people": len(people(twin.directory, members))}


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
    app.router.add_get("/_twin/submissions", controls.submissions)
    app.router.add_get("/_twin/events", controls.events)
    app.router.add_get("/_twin/stats", controls.stats)
