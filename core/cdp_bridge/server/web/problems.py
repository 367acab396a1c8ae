"""Turns errors into problem details (RFC 9457) with place and remedy, and without values of the request."""

from __future__ import annotations

import difflib
import logging
import re
import traceback
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.params import HeaderParameter, QueryParameter
from litestar.typing import FieldDefinition
from msgspec import Struct, inspect

from cdp_bridge.errors import BridgeError, ConfigError, TransientError
from cdp_bridge.redact import redact
from cdp_bridge.server.web.connector_calls import NoAnswerError
from cdp_bridge.settings import SettingsError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5

# The texts of the framework may quote the request.
_OF_STATUS = {
    HTTPStatus.BAD_REQUEST: ("the request cannot be read", "Compare it with the description at /docs"),
    HTTPStatus.NOT_FOUND: ("there is nothing at this address", "See /docs for the addresses"),
    HTTPStatus.METHOD_NOT_ALLOWED: ("this address does not know the method", "See the header Allow"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("the body is too large", "Send less in one request"),
}
_REMEDY = "Correct it: /docs and /v1/connectors describe what is taken"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_STEP = re.compile(r"[^.\[\]]+")
_UNKNOWN_FIELD = re.compile(r"unknown field `(.*)`", re.DOTALL)
_QUOTES = ((re.compile(r"enum value .*", re.DOTALL), "value: it is none of those allowed"),)


class Fault(Struct, frozen=True, kw_only=True):
    """One error: its place (a dotted path, a parameter, a header), what is wrong, and the remedy."""

    place: str
    problem: str
    remedy: str


class ProblemDetails(Struct, frozen=True, kw_only=True):
    """The body of every error."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[Fault]


class ProblemError(Exception):
    """Ends a request with an error of that status."""

    def __init__(self, status: HTTPStatus, faults: Iterable[Fault], headers: Mapping[str, str] | None = None) -> None:
        self.status, self.faults, self.headers = status, list(faults), dict(headers or {})
        super().__init__(status.phrase)


def problem(
    status: HTTPStatus, text: str, *, place: str = "", remedy: str = "", headers: Mapping[str, str] | None = None
) -> ProblemError:
    """An error with one fault."""
    return ProblemError(status, [Fault(place=place, problem=text, remedy=remedy)], headers)


def nameable(name: str) -> str:
    """The name of a field or parameter that somebody sent, or `…` for what may be a value instead of a name."""
    return name if _NAME.fullmatch(name) and redact(name) == name else "…"


def missing(noun: str) -> ProblemError:
    """404 for a resource of that noun."""
    remedy = f"List what there is at /v1/{noun.replace(' ', '-')}s"
    return problem(HTTPStatus.NOT_FOUND, f"there is no such {noun}", place="path", remedy=remedy)


def respond(error: ProblemError) -> Response[ProblemDetails]:
    """The error as a response."""
    first = error.faults[0]
    body = ProblemDetails(
        title=error.status.phrase,
        status=error.status,
        detail=redact(f"{first.place}: {first.problem}" if first.place else first.problem),
        errors=error.faults,
    )
    return Response(body, status_code=error.status, headers=error.headers, media_type=MEDIA_TYPE)


def _of_problem(_: Request[Any, Any, Any], error: ProblemError) -> Response[ProblemDetails]:
    return respond(error)


def _of_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[ProblemDetails]:
    status = HTTPStatus(error.status_code)
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        parameters = request.route_handler.parsed_fn_signature.parameters
        return respond(ProblemError(status, [_of_validation(details, parameters) for details in error.extra]))
    text, remedy = _OF_STATUS.get(status, (status.phrase.lower(), "See /docs"))
    place = "body" if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE) else ""
    return respond(problem(status, text, place=place, remedy=remedy, headers=error.headers))


def _of_depth(_: Request[Any, Any, Any], __: RecursionError) -> Response[ProblemDetails]:
    return respond(problem(HTTPStatus.BAD_REQUEST, "it is nested too deeply", place="body", remedy="Nest less"))


def _of_validation(details: Mapping[str, str], parameters: Mapping[str, FieldDefinition]) -> Fault:
    text = str(details.get("message", "is not valid"))
    source, key = details.get("source", "body").lower(), details.get("key", "")
    kwarg = parameters[key].kwarg_definition if key in parameters else None
    if isinstance(kwarg, HeaderParameter | QueryParameter) and kwarg.name:
        key = kwarg.name
    # The framework names the body as a whole after its parameter.
    path = _STEP.findall(key.removeprefix("data"))
    place = ".".join(path) or "body" if source == "body" else f"{source} {key}"
    if unknown := _UNKNOWN_FIELD.search(text):
        known = _fields(inspect.type_info(parameters["data"].annotation), path)
        close = difflib.get_close_matches(unknown[1], known, n=1)
        remedy = f"Did you mean {close[0]}?" if close else f"Known here: {', '.join(known)}"
        place = f"{place}.{nameable(unknown[1])}".removeprefix("body.")
        return Fault(place=place, problem="is not a known field", remedy=remedy)
    for pattern, instead in _QUOTES:
        text = pattern.sub(instead, text)
    return Fault(place=place, problem=text, remedy="Compare it with the description at /docs")


def _fields(kind: inspect.Type, path: list[str]) -> list[str]:
    """The fields of the object at a path in a body of some type."""
    match kind:
        case inspect.StructType() if path:
            parts = [field.type for field in kind.fields if field.encode_name == path[0]]
            return [name for part in parts for name in _fields(part, path[1:])]
        case inspect.StructType():
            return [field.encode_name for field in kind.fields]
        case inspect.UnionType():
            return [name for part in kind.types for name in _fields(part, path)]
        case inspect.ListType() | inspect.VarTupleType():
            return _fields(kind.item_type, path[1:])
        case inspect.Metadata():
            return _fields(kind.type, path)
    return []


def faults_of(error: ConfigError) -> list[Fault]:
    """The faults of a ConfigError."""
    errors = error.errors if isinstance(error, SettingsError) else [error]
    return [Fault(place=e.place, problem=redact(e.problem), remedy=redact(e.remedy) or _REMEDY) for e in errors]


def _of_bridge(_: Request[Any, Any, Any], error: BridgeError) -> Response[ProblemDetails]:
    if isinstance(error, ConfigError):
        return respond(ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, faults_of(error)))
    log.warning("a request could not be carried out: %s", error)
    wait = {"Retry-After": str(int(getattr(error, "retry_after", None) or RETRY_SECONDS))}
    status = HTTPStatus.BAD_GATEWAY
    if isinstance(error, TransientError):
        status = HTTPStatus.SERVICE_UNAVAILABLE
    elif isinstance(error, NoAnswerError):
        status = HTTPStatus.GATEWAY_TIMEOUT
    return respond(problem(status, redact(str(error)), remedy="Try again later", headers=wait))


def _of_bug(_: Request[Any, Any, Any], error: Exception) -> Response[ProblemDetails]:
    # Its text may quote values.
    log.error("%s at\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
    return respond(problem(HTTPStatus.INTERNAL_SERVER_ERROR, "this is a fault in the bridge", remedy="See its log"))


HANDLERS: dict[Any, Any] = {
    ProblemError: _of_problem,
    HTTPException: _of_http,
    BridgeError: _of_bridge,
    RecursionError: _of_depth,
    Exception: _of_bug,
}
"""The response to each type of exception."""
