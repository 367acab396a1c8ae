"""Declares handlers: role, status, error responses, and whether they run in a thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Annotated, Any

from litestar import delete, get, post, put
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
Limit = Annotated[int, QueryParameter(ge=1, le=200, description="The maximum number of entries of a page")]
PathText = Annotated[str, PathParameter(max_length=200)]
Filter = Annotated[str | None, QueryParameter(max_length=200)]
PageToken = Annotated[str | None, QueryParameter(max_length=1_000, description="`next` of the page before")]
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

_STATUSES = (400, 401, 403, 404, 409, 412, 413, 415, 422, 428, 429, 500, 502, 503, 504)
PROBLEMS = {
    status: ResponseSpec(
        ProblemDetails, description="What is wrong, and what to do", media_type=MEDIA_TYPE, generate_examples=False
    )
    for status in _STATUSES
}


def reads(path: str, role: Role = "viewer", **more: Any) -> Declare:
    """A GET; its function reads the store in a limited number of threads, or is asynchronous."""

    def declare(function: Callable[..., Any]) -> HTTPRouteHandler:
        handler = function if iscoroutinefunction(function) else _limited(function)
        return get(path, **_declared(role, {"sync_to_thread": None, **more}))(handler)

    return declare


def posts(path: str, role: Role = "operator", **more: Any) -> Declare:
    """A POST; with `opt={"unrecorded": True}` its answer is not recorded for idempotency keys."""
    return post(path, **_declared(role, more))


def puts(path: str, role: Role = "operator", **more: Any) -> Declare:
    """A PUT."""
    return put(path, **_declared(role, more))


def deletes(path: str, role: Role = "operator", **more: Any) -> Declare:
    """A DELETE, answered by 204."""
    return delete(path, status_code=204, **_declared(role, more))


def _limited(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def handler(*arguments: Any, **named: Any) -> Any:
        return await limited_read(function, *arguments, **named)

    return handler


def _declared(role: Role, more: dict[str, Any]) -> dict[str, Any]:
    opt = {"role": role, **more.pop("opt", {})}
    return {"responses": PROBLEMS, "sync_to_thread": True, "opt": opt, **more}
