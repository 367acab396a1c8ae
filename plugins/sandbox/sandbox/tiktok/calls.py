"""One call of the API: its parameters, validated, from JSON, query or form."""

import re
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from aiohttp.web_request import FileField

from sandbox.tiktok.config import Token
from sandbox.tiktok.errors import ApiError, forbidden, invalid, missing

T = TypeVar("T")
NO_TOKEN = "Access token is null, you should set it in http header with key Access-Token."  # noqa: S105


@dataclass
class Call:
    """What came: verb, path below the version, query, raw body, parts of a form, and the token in the header."""

    method: str
    endpoint: str
    query: dict[str, str]
    body: bytes
    content_type: str
    token: str | None
    form: dict[str, str | FileField] = field(default_factory=dict)
    grant: Token = field(default_factory=Token)

    def read(self, shape: type[T]) -> T:
        """The JSON body, or the query of a GET, as `shape`. Raises ApiError 40000 and 40002."""
        if self.method == "GET":
            return _shaped(_decoded(self.query), shape, strict=False)
        if self.content_type != "application/json":
            raise ApiError(40000, "The request body must be application/json.")
        if not self.body.lstrip().startswith(b"{"):
            raise ApiError(40000, "The request body is not a JSON object.")
        try:
            return msgspec.json.decode(self.body, type=shape)
        except msgspec.ValidationError as error:
            raise _refused(error) from None
        except (msgspec.DecodeError, RecursionError):
            raise ApiError(40000, "The request body is not a JSON object.") from None

    def check(self, advertiser_id: str) -> None:
        """Raises ApiError 40001 when the token does not reach the advertiser."""
        reached = self.grant.advertisers
        if reached is not None and advertiser_id not in reached:
            raise forbidden(f"No permission to operate advertiser: {advertiser_id[:40]}")


async def read_call(request: web.Request, endpoint: str) -> Call:
    """The call of an HTTP request."""
    form: dict[str, str | FileField] = {}
    if request.content_type == "multipart/form-data":
        form = {name: part for name, part in (await request.post()).items() if not isinstance(part, bytearray | bytes)}
    body = b"" if form else await request.read()
    token = request.headers.get("Access-Token") or None
    return Call(request.method, endpoint, dict(request.query), body, request.content_type, token, form)


def _decoded(query: dict[str, str]) -> dict[str, Any]:
    """A query with its lists, which are JSON text, as lists."""
    found: dict[str, Any] = dict(query)
    for name, text in query.items():
        if text.startswith(("[", "{")):
            try:
                found[name] = msgspec.json.decode(text)
            except (msgspec.DecodeError, RecursionError):
                raise invalid(f"{name}: Not a valid JSON") from None
    return found


def _shaped(parameters: dict[str, Any], shape: type[T], *, strict: bool) -> T:
    try:
        return msgspec.convert(parameters, shape, strict=strict)
    except msgspec.ValidationError as error:
        raise _refused(error) from None


def _refused(error: msgspec.ValidationError) -> ApiError:
    text = str(error)
    if absent := re.search(r"missing required field `(\w+)`", text):
        return missing(absent[1])
    found = re.search(r"`\$\.(.*)`$", text)
    place = re.sub(r"\[(\d+|\.\.\.)\]", r".\1", found[1] if found else "request")
    kind = "string" if "Expected `str" in text else "value"
    return invalid(f"{re.sub('^data', 'Batch', place)}: Not a valid {kind}")
