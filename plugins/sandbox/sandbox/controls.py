"""The controls of the ad platforms' twins under /_twin: ground truth, configuration and clock."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from aiohttp import web

from sandbox.clock import Clock
from sandbox.directory import Known

C = TypeVar("C")


class Advance(msgspec.Struct, forbid_unknown_fields=True):
    """A move of the clock, in seconds."""

    advance: float


class Members(Protocol):
    """What an audience holds."""

    def described(self) -> Iterable[Any]:
        """Each row."""


class Audience(Protocol):
    """An audience, as far as the controls need it."""

    @property
    def deleted(self) -> bool:
        """Whether somebody deleted it."""

    @property
    def counters(self) -> Counter[str]:
        """What was counted of it."""

    @property
    def members(self) -> Members:
        """What it holds."""


class Twin(Protocol):
    """A twin, as far as the controls need it."""

    config: Any
    counters: Counter[str]

    @property
    def clock(self) -> Clock:
        """Its time."""

    @property
    def directory(self) -> Known[Any]:
        """Whom it knows."""

    @property
    def events(self) -> list[dict[str, Any]]:
        """The server events that it accepted."""


T = TypeVar("T", bound=Twin)
A = TypeVar("A", bound=Audience)


class Controls(Generic[T, A]):
    """Handlers of the control routes of one twin, whose audiences are `held` by id."""

    def __init__(self, twin: T, held: Mapping[str, A]) -> None:
        self.twin, self.held = twin, held

    def settle(self, audiences: Iterable[A]) -> None:
        """Let the time that has passed do its work on what is about to be shown."""

    def describe(self, audience: A) -> dict[str, Any]:
        """What is shown of one audience."""
        raise NotImplementedError

    def people_of(self, audience: A) -> Iterable[int]:
        """The numbers of the people whom an audience holds."""
        raise NotImplementedError

    def sums(self) -> dict[str, Any]:
        """Sums over all audiences, events, and the time of the twin."""
        twin = self.twin
        counters = sum((audience.counters for audience in self.held.values()), twin.counters)
        alive = [audience for audience in self.held.values() if not audience.deleted]
        unique = sum(not event["duplicate"] for event in twin.events)
        matched = sum(event["person_id"] is not None for event in twin.events)
        events = {"received": len(twin.events), "unique": unique, "matched": matched}
        totals = {"audiences": len(alive), "people_known": len(twin.directory.ids), "now": twin.clock.now()}
        return totals | {"counters": counters, "events": events}

    def install(self, app: web.Application) -> None:
        """Give an application the control routes."""
        app.middlewares.append(explain)
        app.router.add_get("/_twin/config", self.read_config)
        app.router.add_post("/_twin/config", self.set_config)
        app.router.add_post("/_twin/clock", self.advance)
        app.router.add_get("/_twin/audiences", self.audiences)
        app.router.add_get("/_twin/audiences/{id}/people", self.people)
        app.router.add_get("/_twin/audiences/{id}/rows", self.rows)
        app.router.add_get("/_twin/events", self.events)
        app.router.add_get("/_twin/stats", self.stats)

    async def read_config(self, _: web.Request) -> web.Response:
        """Answer `GET /_twin/config`."""
        return as_json(self.twin.config)

    async def set_config(self, request: web.Request) -> web.Response:
        """Answer `POST /_twin/config`: a merge patch; one that is not understood changes nothing."""
        patch = msgspec.json.decode(await request.read(), type=dict[str, Any])
        self.twin.config = patched(self.twin.config, patch)
        return as_json(self.twin.config)

    async def advance(self, request: web.Request) -> web.Response:
        """Answer `POST /_twin/clock`."""
        self.twin.clock.offset += msgspec.json.decode(await request.read(), type=Advance).advance
        return as_json({"now": self.twin.clock.now()})

    async def audiences(self, _: web.Request) -> web.Response:
        """Answer `GET /_twin/audiences`, deleted ones included."""
        self.settle(self.held.values())
        return as_json([self.describe(audience) for audience in self.held.values()])

    async def people(self, request: web.Request) -> web.Response:
        """Answer `GET /_twin/audiences/{id}/people`: one `human_id` a line, as JSON text."""
        ids = self.twin.directory.ids
        return _lines(ids[number] for number in sorted(self.people_of(self.audience(request))))

    async def rows(self, request: web.Request) -> web.Response:
        """Answer `GET /_twin/audiences/{id}/rows`: one object a line, with what is there of each kind."""
        return _lines(self.audience(request).members.described())

    async def events(self, _: web.Request) -> web.Response:
        """Answer `GET /_twin/events`: one accepted server event a line."""
        return _lines(self.twin.events)

    async def stats(self, _: web.Request) -> web.Response:
        """Answer `GET /_twin/stats`."""
        self.settle(())
        return as_json(self.sums())

    def audience(self, request: web.Request) -> A:
        """The audience that the address names; 404 if there is none."""
        audience = self.held.get(request.match_info["id"])
        if audience is None:
            raise web.HTTPNotFound(text='{"error": "no such audience"}', content_type="application/json")
        self.settle((audience,))
        return audience


def patched(config: C, patch: dict[str, Any]) -> C:
    """A configuration with a JSON merge patch (RFC 7386) applied, except that null sets null and deletes nothing.

    Raises msgspec.ValidationError that names the place.
    """
    return msgspec.convert(_merge(msgspec.to_builtins(config), patch), type(config))


def as_json(value: Any) -> web.Response:
    """An answer of the controls."""
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


@web.middleware
async def explain(request: web.Request, handler: Any) -> web.StreamResponse:
    """Answer 400 with the place when the body of a control is not understood."""
    try:
        response: web.StreamResponse = await handler(request)
    except msgspec.DecodeError as error:
        return web.json_response({"error": f"{request.path}: {error}"}, status=400)
    return response


def _lines(values: Iterable[Any]) -> web.Response:
    body = b"".join(msgspec.json.encode(value) + b"\n" for value in values)
    return web.Response(body=body, content_type="application/x-ndjson")


def _merge(old: Any, patch: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(patch, dict):
        return patch
    return old | {key: _merge(old.get(key), value) for key, value in patch.items()}
