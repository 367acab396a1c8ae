"""The controls and the ground truth of the Segment twin under `/_twin`, without raw personal values."""

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

import duckdb
import msgspec
import psycopg
from aiohttp import web
from msgspec import Struct

from sandbox import warehouse
from sandbox.churn import Churn, churn
from sandbox.person import Person
from sandbox.segment import sender
from sandbox.segment.catalog import AUDIENCE_KEYS
from sandbox.segment.refusals import RefusalError
from sandbox.segment.twin import TWIN, Config, OAuthApp, Stored

T = TypeVar("T")
_LINES_AT_ONCE = 10_000
_SHOWN_PROPERTIES = frozenset(
    {"platform", "campaign_id", "adset_id", "ad_id", "placement", "cost", "currency", "click_id", "watched_seconds"}
    | {"quartile", "conversion_type", "revenue", "value", "order_id"}
)


class _Time(Struct, forbid_unknown_fields=True):
    advance: float = 0.0
    set: datetime | None = None
    freeze: bool | None = None


class _Fraction(Struct, forbid_unknown_fields=True):
    fraction: float = 0.01
    seed: int = 7


def install(app: web.Application, on_churn: Callable[[Churn], None] | None) -> None:
    """Add the routes; `on_churn` is told of each churn after population and warehouse have changed."""

    async def churned(request: web.Request) -> web.Response:
        wanted = await _decoded(request, _Fraction)
        twin = request.app[TWIN]
        happened = churn(twin.population, wanted.fraction, wanted.seed)
        if twin.warehouse_url:
            await _tick(twin.warehouse_url, happened)
        twin.renew(happened)
        if on_churn is not None:
            on_churn(happened)
        return web.json_response(happened.summary() | {"people": len(twin.population)})

    app.router.add_post("/_twin/churn", churned)
    app.router.add_post("/_twin/clock", _clock)
    app.router.add_get("/_twin/config", _config)
    app.router.add_post("/_twin/config", _configure)
    app.router.add_post("/_twin/oauth/apps", _register)
    app.router.add_post("/_twin/send", _send)
    app.router.add_get("/_twin/people", _people)
    app.router.add_get("/_twin/suppressed", _suppressed)
    app.router.add_get("/_twin/audiences/{key}/members", _members)
    app.router.add_get("/_twin/tracking", _tracking)
    app.router.add_route("*", "/_twin/{path:.*}", _unknown)


async def _tick(url: str, happened: Churn) -> None:
    """Move the warehouse on; population and warehouse stay as they were when it cannot be written."""
    try:
        await asyncio.to_thread(warehouse.apply_churn, url, happened)
    except (duckdb.Error, psycopg.Error) as error:
        remedy = "Is its server up, or does another process hold the DuckDB file open? Try again afterwards."
        raise RefusalError(409, {"error": f"the warehouse could not be written. {remedy}"}) from error


async def _decoded(request: web.Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise RefusalError(400, {"error": f"not understood: {error}"}) from error


async def _clock(request: web.Request) -> web.Response:
    wanted = await _decoded(request, _Time)
    clock = request.app[TWIN].clock
    if wanted.set is not None:
        clock.freeze(wanted.set.timestamp())
    elif wanted.freeze:
        clock.freeze()
    if wanted.freeze is False:
        clock.run()
    clock.advance(wanted.advance)
    return web.json_response({"now": clock.now().isoformat()})


async def _config(request: web.Request) -> web.Response:
    return web.json_response(msgspec.to_builtins(request.app[TWIN].config))


async def _configure(request: web.Request) -> web.Response:
    twin = request.app[TWIN]
    changes = await _decoded(request, dict[str, Any])
    try:
        twin.config = msgspec.convert(msgspec.to_builtins(twin.config) | changes, Config)
    except msgspec.ValidationError as error:
        raise RefusalError(400, {"error": f"not understood: {error}"}) from error
    return await _config(request)


async def _register(request: web.Request) -> web.Response:
    app = await _decoded(request, OAuthApp)
    request.app[TWIN].oauth_apps[app.key_id] = app
    return web.json_response({"success": True})


async def _send(request: web.Request) -> web.Response:
    order = await _decoded(request, sender.Order)
    twin = request.app[TWIN]
    unknown = set(order.person_ids or ()) - twin.population.by_id.keys()
    if unknown or order.audience_key not in AUDIENCE_KEYS:
        raise RefusalError(400, {"error": "unknown audience key or person id"})
    return web.json_response(await sender.send(twin, order))


async def _people(request: web.Request) -> web.StreamResponse:
    return await _lines(request, map(_truth, request.app[TWIN].population))


async def _members(request: web.Request) -> web.StreamResponse:
    key = request.match_info["key"]
    if key not in AUDIENCE_KEYS:
        raise RefusalError(404, {"error": "unknown audience key"})
    return await _lines(request, (person.person_id for person in request.app[TWIN].population.members(key)))


async def _suppressed(request: web.Request) -> web.StreamResponse:
    """SHA-256 of each suppressed e-mail in its normalised form."""
    raw = request.app[TWIN].population.suppressed
    return await _lines(request, (hashlib.sha256(email.strip().lower().encode()).hexdigest() for email in raw))


async def _tracking(request: web.Request) -> web.StreamResponse:
    return await _lines(request, map(_shown, request.app[TWIN].tracked))


async def _unknown(_: web.Request) -> web.Response:
    return web.json_response({"error": "unknown control"}, status=404)


async def _lines(request: web.Request, rows: Iterable[Any]) -> web.StreamResponse:
    """Newline-delimited JSON, some thousand lines at once."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    encoder = msgspec.json.Encoder()
    waiting: list[Any] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == _LINES_AT_ONCE:
            await response.write(encoder.encode_lines(waiting))
            waiting.clear()
    await response.write(encoder.encode_lines(waiting))
    await response.write_eof()
    return response


def _truth(person: Person) -> dict[str, Any]:
    return {
        "person_id": person.person_id,
        "human_id": person.human_id,
        "canonical_segment_id": person.segment_id,
        "user_id": person.user_id,
        "audiences": person.audiences,
        "consent": person.consent,
        "suppressed": person.suppressed,
        "identifiable_by": sorted(person.identifiable_by),
    }


def _shown(stored: Stored) -> dict[str, Any]:
    message = stored.message
    properties = message.get("properties") or {}
    return {
        "message_id": message["messageId"],
        "type": message.get("type"),
        "event": message.get("event"),
        "user_id": message.get("userId"),
        "timestamp": stored.timestamp,
        "received_at": stored.received_at,
        "stored": stored.reason is None,
        "reason": stored.reason,
        "properties": {name: value for name, value in properties.items() if name in _SHOWN_PROPERTIES},
    }
