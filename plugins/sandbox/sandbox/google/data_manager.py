"""Routes calls of the Data Manager API v1: method, permission, answer (google.md 1.1)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.google import events, members, oauth, statuses, user_lists
from sandbox.google.calls import Call
from sandbox.google.config import DATA_MANAGER
from sandbox.google.errors import DOMAIN, ApiError, malformed, not_found
from sandbox.google.processing import settle
from sandbox.google.state import Twin

PREFIX = "/v1/"
STANDARD = {"$alt", "alt", "$.xgafv", "key", "prettyPrint", "fields", "quotaUser"}
"""Parameters that every Google API takes."""

PARENT = r"accountTypes/(\w+)/accounts/([^/:]+)"


@dataclass(frozen=True)
class Route:
    """One method: its verb and path below the version, its name in the journal, what it does, its parameters."""

    method: str
    pattern: str
    name: str
    handler: Callable[[Twin, Call], dict[str, Any]]
    query: tuple[str, ...] = ()


ROUTES = (
    Route("POST", "audienceMembers:ingest", "/audienceMembers:ingest", members.ingest),
    Route("POST", "audienceMembers:remove", "/audienceMembers:remove", members.remove),
    Route("POST", "audienceMembers:removeAll", "/audienceMembers:removeAll", members.remove_all),
    Route("POST", "events:ingest", "/events:ingest", events.ingest),
    Route("GET", "requestStatus:retrieve", "/requestStatus:retrieve", statuses.retrieve, ("requestId",)),
    Route("POST", f"{PARENT}/userLists", "/{parent}/userLists", user_lists.create, ("validateOnly",)),
    Route("GET", f"{PARENT}/userLists", "/{parent}/userLists", user_lists.listed, ("pageSize", "pageToken", "filter")),
    Route("GET", rf"{PARENT}/userLists/([^/:]+)", "/{userList}", user_lists.read),
    Route("PATCH", rf"{PARENT}/userLists/([^/:]+)", "/{userList}", user_lists.update, ("updateMask", "validateOnly")),
    Route("DELETE", rf"{PARENT}/userLists/([^/:]+)", "/{userList}", user_lists.delete, ("validateOnly",)),
)
NOT_SERVED = ("users:ingest", "users:remove", "adEvents:ingest")


def answer(twin: Twin, call: Call, authorization: str) -> tuple[str, dict[str, Any]]:
    """The route of a call and what it answers. Raises ApiError."""
    path = call.path.removeprefix(PREFIX)
    if path in NOT_SERVED:
        raise ApiError(501, "UNIMPLEMENTED", "The method is not served by this twin.")
    route, parts = _route(call.method, path)
    call.parts, call.token = parts, oauth.authenticate(twin, authorization, DOMAIN, DATA_MANAGER)
    twin.budget.spend(twin.clock.now(), twin.config, DOMAIN)
    for name in call.query:
        if name not in STANDARD and name not in route.query:
            raise malformed(f'Unknown name "{name[:60]}": Cannot bind query parameter.', name[:60])
    if call.method in ("POST", "PATCH") and not call.headers.get("content-type", "").startswith("application/json"):
        raise malformed("The request body must be application/json.")
    settle(twin)
    return f"{route.method} {route.name}", route.handler(twin, call)


def _route(method: str, path: str) -> tuple[Route, tuple[str, ...]]:
    for route in ROUTES:
        fit = re.fullmatch(route.pattern, path)
        if fit is not None and route.method == method:
            return route, fit.groups()
    raise not_found("Method not found.")
