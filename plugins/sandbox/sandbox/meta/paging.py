"""Pages with opaque cursors, as every list edge answers."""

import base64
import binascii
from typing import Any
from urllib.parse import urlencode

from sandbox.meta.calls import Call
from sandbox.meta.errors import GraphError, invalid
from sandbox.meta.state import Twin

DEFAULT_LIMIT = 25


def page(twin: Twin, call: Call, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The page that `limit` and `after` ask for; `next` is there while rows remain, and holds the access token."""
    limit = call.number("limit", DEFAULT_LIMIT)
    if limit < 1:
        raise invalid("Param limit must be positive")
    if limit > twin.config.max_page:
        raise GraphError(1, "Please reduce the amount of data you're asking for, then retry your request", status=500)
    after = call.text("after")
    start = 0 if after is None else _position(after)
    if after is None and twin.config.empty_first_page:
        limit = 0
    answer: dict[str, Any] = {"data": rows[start : start + limit]}
    end = start + len(answer["data"])
    if rows:
        answer["paging"] = {"cursors": {"before": _cursor(start), "after": _cursor(end)}}
    if end < len(rows):
        query = call.params | {"after": _cursor(end), "limit": call.number("limit", DEFAULT_LIMIT)}
        path = "/".join(filter(None, (call.version, *call.path)))
        answer["paging"]["next"] = f"{call.base_url}/{path}?{urlencode(query)}"
    if call.flag("summary"):
        answer["summary"] = {"total_count": len(rows)}
    return answer


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"cursor:{position}".encode()).decode()


def _position(cursor: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(cursor).decode().removeprefix("cursor:"))
    except (ValueError, binascii.Error):
        raise invalid("Invalid cursor") from None
