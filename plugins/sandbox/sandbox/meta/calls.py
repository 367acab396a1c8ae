"""One call of the Graph API, whichever way its parameters came: query, form, JSON body or batch item."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from sandbox.meta.errors import invalid


@dataclass
class Call:
    """Method, path segments without the version, parameters by name; `rows_taken` is set by a `partial` fault."""

    method: str
    path: tuple[str, ...]
    params: dict[str, Any]
    base_url: str
    version: str = ""
    rows_taken: int | None = None
    routes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.method = str(self.params.pop("method", self.method)).upper()

    def text(self, name: str) -> str | None:
        """A parameter as text; None when absent or empty."""
        value = self.params.get(name)
        return None if value in (None, "") else str(value)

    def value(self, name: str) -> Any:
        """A structured parameter: JSON text, as query and form carry it, is decoded. Raises GraphError 100."""
        value = self.params.get(name)
        if not isinstance(value, str) or not value:
            return value
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            raise invalid(f"Param {name} must be valid JSON") from None

    def flag(self, name: str) -> bool:
        """A boolean parameter; absent is false."""
        return self.params.get(name) in (True, "true", "True", "1", 1)

    def number(self, name: str, default: int) -> int:
        """A whole number. Raises GraphError 100."""
        try:
            return int(self.params.get(name) or default)
        except (TypeError, ValueError):
            raise invalid(f"Param {name} must be an integer") from None

    def fields(self) -> list[str]:
        """The requested field names: comma-separated on GET, a JSON array in POST."""
        value = self.params.get("fields") or ""
        names = self.value("fields") if isinstance(value, str) and value.startswith("[") else value
        names = names.split(",") if isinstance(names, str) else names
        if not isinstance(names, list):
            raise invalid("Param fields must be a list of names")
        return [str(name).strip() for name in names if str(name).strip()]


def split_path(path: str) -> tuple[str, tuple[str, ...]]:
    """Version ('' when there is none) and the segments after it."""
    segments = tuple(segment for segment in path.split("/") if segment)
    if segments and segments[0].startswith("v") and segments[0][1:].replace(".", "", 1).isdigit():
        return segments[0], segments[1:]
    return "", segments


def form(text: str) -> dict[str, Any]:
    """Parameters of a query or form; the last of equal names wins."""
    return dict(parse_qsl(text, keep_blank_values=True))


async def read_call(request: web.Request) -> Call:
    """The call of an HTTP request; a bearer token becomes the parameter `access_token`. Raises GraphError 100."""
    version, path = split_path(request.path)
    params: dict[str, Any] = form(request.rel_url.raw_query_string)
    params |= await _body(request)
    bearer = request.headers.get("Authorization", "")
    if bearer.startswith("Bearer ") and "access_token" not in params:
        params["access_token"] = bearer.removeprefix("Bearer ").strip()
    return Call(request.method, path, params, f"{request.scheme}://{request.host}", version)


async def _body(request: web.Request) -> Mapping[str, Any]:
    if request.content_type == "multipart/form-data":
        return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    raw = await request.read()
    if not raw:
        return {}
    if request.content_type != "application/json":
        return form(raw.decode("utf-8", "replace"))
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError:
        raise invalid("The request body must be a JSON object") from None
