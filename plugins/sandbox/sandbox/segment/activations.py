"""Destination connections and activations of an audience: how a webhook is attached by API (P10)."""

from typing import Any

from aiohttp import web

from sandbox.segment import catalog, public_api
from sandbox.segment.paging import paged
from sandbox.segment.refusals import invalid, missing, public
from sandbox.segment.twin import Twin

_AUDIENCE = "/spaces/{space}/audiences/{audience}"


def install(app: web.Application) -> None:
    """Add the routes."""
    connections = f"{_AUDIENCE}/destination-connections"
    public_api.add(app, "GET", connections, _connections, 60)
    public_api.add(app, "POST", connections, _connect, 50)
    public_api.add(app, "DELETE", connections + "/{connection}", _disconnect, 50)
    public_api.add(app, "POST", connections + "/{connection}/activations", _activate, 10)
    public_api.add(app, "GET", f"{_AUDIENCE}/activations", _activations, 60)
    public_api.add(app, "GET", f"{_AUDIENCE}/activations/{{activation}}", _activation, 60)
    public_api.add(app, "DELETE", f"{_AUDIENCE}/activations/{{activation}}", _deactivate, 10)


async def _connections(twin: Twin, request: web.Request) -> dict[str, Any]:
    audience = public_api.audience_of(request)
    shown = [_without_audience(each) for each in twin.connections.values() if each["audienceId"] == audience.id]
    return paged(request.query, "connections", shown, required=False)


async def _connect(twin: Twin, request: web.Request) -> dict[str, Any]:
    audience = public_api.audience_of(request)
    wanted = await public_api.body(request)
    destination = wanted.get("destination")
    if not isinstance(destination, dict) or not isinstance(destination.get("id"), str):
        raise invalid('"destination.id" is required', "destination.id")
    connection = {
        "id": f"ii_{len(twin.connections) + 1}",
        "destinationId": destination["id"],
        "audienceId": audience.id,
    }
    twin.connections[connection["id"]] = connection
    return {"connection": _without_audience(connection), "idSyncConfiguration": wanted.get("idSyncConfiguration", [])}


async def _disconnect(twin: Twin, request: web.Request) -> dict[str, Any]:
    connection = _connection_of(twin, request)
    if any(each["connectionId"] == connection["id"] for each in twin.activations.values()):
        raise public(409, "conflict", "The destination connection still has activations.")
    del twin.connections[connection["id"]]
    return {"status": "SUCCESS"}


async def _activate(twin: Twin, request: web.Request) -> dict[str, Any]:
    connection = _connection_of(twin, request)
    wanted = await public_api.body(request)
    for name in ("activationType", "activationName"):
        if not isinstance(wanted.get(name), str):
            raise invalid(f'"{name}" is required', name)
    activation = {
        "id": f"act_{len(twin.activations) + 1}",
        "enabled": bool(wanted.get("enabled", True)),
        "workspaceId": catalog.WORKSPACE["id"],
        "spaceId": catalog.SPACE["id"],
        "audienceId": connection["audienceId"],
        "connectionId": connection["id"],
        "activationType": wanted["activationType"],
        "activationName": wanted["activationName"],
        "personalization": wanted.get("personalization", {}),
        "destinationMapping": wanted.get("destinationMapping"),
        "performResync": bool(wanted.get("performResync", False)),
    }
    twin.activations[activation["id"]] = activation
    return {"activation": activation}


async def _activations(twin: Twin, request: web.Request) -> dict[str, Any]:
    audience = public_api.audience_of(request)
    found = [each for each in twin.activations.values() if each["audienceId"] == audience.id]
    return paged(request.query, "activations", found, required=False)


async def _activation(twin: Twin, request: web.Request) -> dict[str, Any]:
    return {"activation": _activation_of(twin, request)}


async def _deactivate(twin: Twin, request: web.Request) -> dict[str, Any]:
    del twin.activations[_activation_of(twin, request)["id"]]
    return {"status": "SUCCESS"}


def _connection_of(twin: Twin, request: web.Request) -> dict[str, Any]:
    return _owned(twin.connections, request, "connection")


def _activation_of(twin: Twin, request: web.Request) -> dict[str, Any]:
    return _owned(twin.activations, request, "activation")


def _owned(kept: dict[str, dict[str, Any]], request: web.Request, name: str) -> dict[str, Any]:
    audience = public_api.audience_of(request)
    found = kept.get(request.match_info[name])
    if found is None or found["audienceId"] != audience.id:
        raise missing(name.capitalize())
    return found


def _without_audience(connection: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in connection.items() if name != "audienceId"}
