"""Refuses a request whose address, query or body cannot be right, with the place, before any handler."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import anyio
from litestar import Request
from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.params import QueryParameter
from litestar.types import ASGIApp, Receive, Scope, Send

from cdp_bridge.errors import ConfigError
from cdp_bridge.server.web.problems import Fault, ProblemError, faults_of, nameable, problem
from cdp_bridge.texts.storable import unstorable

PATCH_TYPE = "application/merge-patch+json"
"""The type of the body of a PATCH, which may call itself JSON as well."""
MAX_QUERY_PARAMETERS = 50
MAX_DIGITS = 20
"""The digits of an integer of 64 bits, with its sign."""
_TAKE_OUT = "Take the character out"
_SEND_UTF8 = "Send UTF-8"


class Strict(ASGIMiddleware):
    """Accepts addresses and queries in UTF-8 and without NUL, query parameters that the handler declares, and bodies
    that are declared as JSON and whose texts and numbers can be stored.

    A handler with `opt={"any_query": True}` judges its query itself.
    """

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Refuse with all faults of the first part that has some."""
        for faults in (_faults_of_path(scope), list(_faults_of_query(scope))):
            if faults:
                raise ProblemError(HTTPStatus.BAD_REQUEST, faults)
        request: Request[Any, Any, Any] = Request(scope, receive, send)
        if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
            _refuse_other_types(request)
            if body := await request.body():
                await anyio.to_thread.run_sync(_refuse_wrong_body, body)
        await next_app(scope, receive, send)


def known_parameters(handler: BaseRouteHandler) -> list[str]:
    """The query parameters that a handler and its dependencies declare, by name."""
    own = handler.parsed_fn_signature.parameters
    given = [given.parsed_fn_signature for name, given in handler.resolve_dependencies().items() if name in own]
    fields = [*own.values(), *(field for signature in given for field in signature.parameters.values())]
    declared = [(field.kwarg_definition, field.name) for field in fields]
    return sorted(kwarg.name or name for kwarg, name in declared if isinstance(kwarg, QueryParameter))


def _faults_of_path(scope: Scope) -> list[Fault]:
    return list(_faults_of_bytes(unquote_to_bytes(scope["raw_path"]), "path"))


def _faults_of_bytes(data: bytes, place: str) -> Iterator[Fault]:
    if b"\0" in data:
        yield Fault(place=place, problem="holds the character NUL", remedy=_TAKE_OUT)
    try:
        data.decode()
    except UnicodeDecodeError:
        yield Fault(place=place, problem="is not UTF-8", remedy=_SEND_UTF8)


def _faults_of_query(scope: Scope) -> Iterator[Fault]:
    if scope["route_handler"].opt.get("any_query"):
        return
    try:
        # As bytes, whatever they are; which are wrong is said below.
        pairs = parse_qsl(
            scope["query_string"].decode("latin-1"),
            keep_blank_values=True,
            encoding="latin-1",
            max_num_fields=MAX_QUERY_PARAMETERS,
        )
    except ValueError:
        remedy = f"Send at most {MAX_QUERY_PARAMETERS}"
        yield Fault(place="query", problem="there are too many parameters", remedy=remedy)
        return
    known = known_parameters(scope["route_handler"])
    seen = set[str]()
    for name, value in pairs:
        place = f"query {nameable(name)}"
        if name not in known:
            remedy = f"Known here: {', '.join(known) or 'none'}"
            yield Fault(place=place, problem="is no parameter of this address", remedy=remedy)
        elif name in seen:
            yield Fault(place=place, problem="is given twice", remedy="Send it once")
        else:
            yield from _faults_of_bytes(value.encode("latin-1"), place)
        seen.add(name)


def _refuse_other_types(request: Request[Any, Any, Any]) -> None:
    """Problem 400 for a body that nothing reads, 415 for one that is not declared as JSON."""
    if request.method not in ("POST", "PUT", "PATCH"):
        raise problem(HTTPStatus.BAD_REQUEST, "is not wanted", place="body", remedy="Send the request without one")
    wanted = ("application/json", PATCH_TYPE) if request.method == "PATCH" else ("application/json",)
    kind, _, rest = request.headers.get("content-type", "").partition(";")
    charset = rest.strip().lower().removeprefix("charset=").strip('"')
    if kind.strip().lower() not in wanted or charset not in ("", "utf-8"):
        raise problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "the body is not declared as JSON",
            place="header Content-Type",
            remedy=f"Send JSON in UTF-8 as {wanted[-1]}",
        )


def _refuse_wrong_body(body: bytes) -> None:
    """Problem 400 for a body that is not JSON in UTF-8, or has values that cannot be stored."""
    place = "body"
    try:
        text = body.decode()
        # The framework's decoder takes texts with NUL, and does not say where a number is that it cannot read.
        faults = list(unstorable(json.loads(text, parse_int=_integer)))
    except UnicodeDecodeError as error:
        raise problem(
            HTTPStatus.BAD_REQUEST, f"byte {error.start} is not UTF-8", place=place, remedy=_SEND_UTF8
        ) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        remedy = "Correct the JSON there"
        raise problem(HTTPStatus.BAD_REQUEST, f"is not JSON ({where})", place=place, remedy=remedy) from None
    if faults:
        raise ProblemError(HTTPStatus.BAD_REQUEST, [_named(fault) for fault in faults])


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= MAX_DIGITS else math.inf


def _named(fault: ConfigError) -> Fault:
    """The fault with its place in the body, in which the names of fields stand but no other text."""
    (shown,) = faults_of(fault)
    parts = [part if part.isdigit() else nameable(part) for part in fault.place.split(".")] if fault.place else ["body"]
    return Fault(place=".".join(parts), problem=shown.problem, remedy=shown.remedy)
