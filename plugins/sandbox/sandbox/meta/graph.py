"""Routes calls of the Graph API: node, edge, permission, answer with usage headers."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sandbox.meta import accounts, audiences, auth, capi, insights, sessions, users
from sandbox.meta.calls import Call
from sandbox.meta.config import Token
from sandbox.meta.errors import GraphError, missing, unknown_path
from sandbox.meta.performance import ads_of
from sandbox.meta.state import Twin

Handler = Callable[[Twin, Call, Any], dict[str, Any]]
WRITE = ("ads_management",)
READ = ("ads_management", "ads_read")


@dataclass(frozen=True)
class Route:
    """One operation: what it does, whose budget pays, which scopes allow it."""

    handler: Handler
    use_case: str | None
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Node:
    """What the first path segment names; `value` is what handlers of its kind take."""

    kind: str
    account_id: str
    value: Any


@dataclass(frozen=True)
class Reply:
    """An answer: HTTP status, JSON body, headers."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


ROUTES: dict[tuple[str, str, str], Route] = {
    ("account", "", "GET"): Route(accounts.read, "ads_management", READ),
    ("account", "customaudiences", "GET"): Route(audiences.listed, "custom_audience", READ),
    ("account", "customaudiences", "POST"): Route(audiences.create, "custom_audience", WRITE),
    ("account", "usersofanyaudience", "DELETE"): Route(users.forget, "custom_audience", WRITE),
    ("account", "insights", "GET"): Route(insights.sync, "ads_insights", READ),
    ("account", "insights", "POST"): Route(insights.start, "ads_insights", READ),
    ("audience", "", "GET"): Route(audiences.read, "custom_audience", READ),
    ("audience", "", "POST"): Route(audiences.update, "custom_audience", WRITE),
    ("audience", "", "DELETE"): Route(audiences.delete, "custom_audience", WRITE),
    ("audience", "users", "POST"): Route(users.add, "custom_audience", WRITE),
    ("audience", "users", "DELETE"): Route(users.remove, "custom_audience", WRITE),
    ("audience", "usersreplace", "POST"): Route(users.replace, "custom_audience", WRITE),
    ("audience", "sessions", "GET"): Route(sessions.read, "custom_audience", READ),
    ("pixel", "", "GET"): Route(capi.read, None, READ),
    ("pixel", "events", "POST"): Route(capi.receive, None, WRITE),
    ("ads", "insights", "GET"): Route(insights.sync, "ads_insights", READ),
    ("ads", "insights", "POST"): Route(insights.start, "ads_insights", READ),
    ("run", "", "GET"): Route(insights.poll, "ads_insights", READ),
    ("run", "insights", "GET"): Route(insights.rows, "ads_insights", READ),
}
EDGES = {(kind, edge) for kind, edge, _ in ROUTES}
ME = Route(accounts.listed, None, READ)
OPEN: dict[tuple[str, ...], Callable[[Twin, Call], dict[str, Any]]] = {
    ("debug_token",): auth.debug_token,
    ("oauth", "access_token"): auth.access_token,
}
"""Endpoints that check the caller themselves."""


def answer(twin: Twin, call: Call) -> Reply:
    """Serve one call; a refusal becomes the error envelope."""
    headers: dict[str, str] = {}
    try:
        if call.path in OPEN:
            call.routes.append(f"{call.method} /{'/'.join(call.path)}")
            return Reply(200, OPEN[call.path](twin, call))
        return Reply(200, _serve(twin, call, headers), headers)
    except GraphError as error:
        return Reply(error.status, error.envelope(), headers)


def _serve(twin: Twin, call: Call, headers: dict[str, str]) -> dict[str, Any]:
    token = auth.authenticate(twin, call)
    headers |= twin.app_budget.spend(twin.clock.now(), twin.config.app)
    if call.path == ("me", "adaccounts") and call.method == "GET":
        call.routes.append("GET /me/adaccounts")
        auth.require(token, ME.scopes)
        return ME.handler(twin, call, token)
    node = _node(twin, call, token)
    edge = call.path[1] if len(call.path) > 1 else ""
    if len(call.path) > 2 or (node.kind, edge) not in EDGES:
        raise unknown_path("/".join(call.path[1:]))
    call.routes.append(f"{call.method} /{{{node.kind}}}{'/' if edge else ''}{edge}")
    route = ROUTES.get((node.kind, edge, call.method))
    if route is None:
        raise missing(call.method, call.path[0])
    auth.require(token, route.scopes)
    if route.use_case is not None:
        _spend(twin, node.account_id, route, call, headers)
    return route.handler(twin, call, node.value)


def _spend(twin: Twin, account_id: str, route: Route, call: Call, headers: dict[str, str]) -> None:
    budget, account, now = twin.account(account_id).budget, twin.config.accounts[account_id], twin.clock.now()
    use_case, count = str(route.use_case), len(twin.live_audiences(account_id))
    try:
        budget.spend(now, account, use_case, count, call.method != "GET")
    finally:
        headers |= budget.headers(now, account_id, account, use_case, count)


def _node(twin: Twin, call: Call, token: Token) -> Node:
    """What the path names. Raises GraphError 2500 (malformed), 100/33 (unknown, deleted, not visible), 803 (new)."""
    name = call.path[0] if call.path else ""
    if not re.fullmatch(r"(act_)?\d+", name):
        raise unknown_path("/".join(call.path))
    node = next(_candidates(twin, name), None)
    if node is None or not _visible(twin, token, node.account_id):
        raise missing(call.method, name)
    if node.kind == "audience" and twin.clock.now() < node.value.created + twin.config.create_lag:
        message = f"(#803) Some of the aliases you requested do not exist: {name}"
        raise GraphError(803, message, status=404)
    return node


def _candidates(twin: Twin, name: str) -> Iterator[Node]:
    if name.startswith("act_"):
        account_id = name.removeprefix("act_")
        yield Node("account", account_id, account_id)
        return
    audience, run = twin.audiences.get(name), twin.runs.get(name)
    if audience is not None and not audience.deleted:
        yield Node("audience", audience.account_id, audience)
    if run is not None and not insights.expired(twin, run):
        yield Node("run", run.account_id, run)
    for account_id, account in twin.config.accounts.items():
        if name in account.pixels:
            yield Node("pixel", account_id, name)
    if name[:3] in {"118", "119", "120"}:
        yield Node("ads", ads_of(twin.config.accounts, name)[0], name)


def _visible(twin: Twin, token: Token, account_id: str) -> bool:
    return account_id in twin.config.accounts and (token.accounts is None or account_id in token.accounts)
