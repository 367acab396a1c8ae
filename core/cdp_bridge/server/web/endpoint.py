"""Declares handlers: role, status, error responses, and whether they run in a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import iscoroutinefunction, signature
from typing import Annotated, Any

from litestar import delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, PathParameter, QueryParameter
from msgspec import Struct

from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import ApiKey, Role
from cdp_bridge.oauth import SignIns
from cdp_bridge.server.web.access import Rates, who
from cdp_bridge.server.web.connector_calls import ConnectorCalls
from cdp_bridge.server.web.paging import PageTokens
from cdp_bridge.server.web.problems import MEDIA_TYPE, ProblemDetails
from cdp_bridge.server.web.read_limiter import limited_read
from cdp_bridge.store import Store
from cdp_bridge.store.access.audit import AuditRecord

Declare = Callable[[Callable[..., Any]], HTTPRouteHandler]
PathText = Annotated[str, PathParameter(max_length=200)]
Filter = Annotated[str | None, QueryParameter(max_length=200)]
IfMatch = Annotated[
    str | None,
    HeaderParameter(name="If-Match", max_length=200, description="The ETag of the resource as it was read"),
]


class Core(Struct, frozen=True):
    """What handlers work with; `public_url` is the address of this server for browsers.

    `allowed` is what of this machine an API key may name in settings: folders, programs, images, database files;
    `allowed_hosts` are the hosts it may name besides those of the vendors.
    `reads_of_people` and `counts_of_people` limit how often a key asks for what can be learnt of people.
    """

    store: Store
    registry: Registry
    page_tokens: PageTokens
    sign_ins: SignIns
    connector_calls: ConnectorCalls
    public_url: str
    allowed: tuple[str, ...]
    allowed_hosts: tuple[str, ...]
    reads_of_people: Rates
    counts_of_people: Rates

    def audit(self, caller: ApiKey, action: str, kind: str, name: str) -> None:
        """Write down that a caller does something."""
        self.store.audit.add(AuditRecord(who=who(caller), action=action, kind=kind, name=name))


CoreGiven = NamedDependency[Core]
Caller = NamedDependency[ApiKey]

FROM_CONNECTOR = (422, 502, 504)
"""What else an address may answer that asks a CDP or platform."""
_PROBLEM = ResponseSpec(
    ProblemDetails, description="What is wrong, and what to do", media_type=MEDIA_TYPE, generate_examples=False
)
_EVERYWHERE = {400, 401, 429, 500, 503}


def reads(path: str, role: Role = "viewer", **more: Any) -> Declare:
    """A GET; its function reads the store in a limited number of threads, or is asynchronous."""

    def declare(function: Callable[..., Any]) -> HTTPRouteHandler:
        handler = function if iscoroutinefunction(function) else _limited(function)
        return get(path, **_declared(path, role, function, {"sync_to_thread": None, **more}))(handler)

    return declare


def posts(path: str, role: Role = "operator", *, also: Iterable[int] = (), **more: Any) -> Declare:
    """A POST; it may answer the statuses in `also` besides those that its role, path and parameters bring about.

    With `opt={"unrecorded": True}` its answer is not recorded for idempotency keys.
    """
    conflicts = () if more.get("opt", {}).get("unrecorded") else (409,)
    return _writes(post, path, role, (413, 415, *conflicts, *also), more)


def puts(path: str, role: Role = "operator") -> Declare:
    """A PUT of a resource that was read."""
    return _writes(put, path, role, (412, 413, 415, 428), {})


def patches(path: str, role: Role = "operator") -> Declare:
    """A PATCH of a resource."""
    return _writes(patch, path, role, (412, 413, 415), {})


def deletes(path: str, role: Role = "operator", *, also: Iterable[int] = ()) -> Declare:
    """A DELETE, answered by 204."""
    return _writes(delete, path, role, also, {"status_code": 204})


def _writes(
    method: Callable[..., Any], path: str, role: Role, statuses: Iterable[int], more: dict[str, Any]
) -> Declare:
    def declare(function: Callable[..., Any]) -> HTTPRouteHandler:
        declared: HTTPRouteHandler = method(path, **_declared(path, role, function, more, statuses))(function)
        return declared

    return declare


def _limited(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def handler(*arguments: Any, **named: Any) -> Any:
        return await limited_read(function, *arguments, **named)

    return handler


def _declared(
    path: str, role: Role, function: Callable[..., Any], more: dict[str, Any], statuses: Iterable[int] = ()
) -> dict[str, Any]:
    parameters = signature(function).parameters
    all_statuses = {*_EVERYWHERE, *statuses}
    all_statuses |= {403} if role != "viewer" else set()
    all_statuses |= {404} if "{" in path else set()
    all_statuses |= {412, 428} if "if_match" in parameters and "data" not in parameters else set()
    all_statuses |= {422} if "data" in parameters else set()
    return {
        "responses": dict.fromkeys(sorted(all_statuses), _PROBLEM),
        "sync_to_thread": True,
        **more,
        "opt": {"role": role, **more.get("opt", {})},
    }
