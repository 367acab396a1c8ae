"""Batch requests: several calls in one request, each counted on its own (contract 1)."""

from typing import Any

import msgspec

from sandbox.meta import graph
from sandbox.meta.calls import Call, form, split_path
from sandbox.meta.errors import GraphError, invalid
from sandbox.meta.state import Twin

MAX_ITEMS = 50
INHERITED = ("access_token", "appsecret_proof", "appsecret_time")


def answer(twin: Twin, call: Call) -> graph.Reply:
    """`POST /` with `batch`: an array with code, headers and body text of each item."""
    try:
        items = call.value("batch")
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise invalid("Param batch must be an array of calls")
        if len(items) > MAX_ITEMS:
            raise invalid(f"Too many requests in batch message. Maximum batch size is {MAX_ITEMS}")
    except GraphError as error:
        return graph.Reply(error.status, error.envelope())
    return graph.Reply(200, [_item(twin, call, item) for item in items])


def _item(twin: Twin, outer: Call, item: dict[str, Any]) -> dict[str, Any]:
    path, _, query = str(item.get("relative_url", "")).partition("?")
    version, segments = split_path(path)
    params = {name: outer.params[name] for name in INHERITED if name in outer.params}
    params |= form(query) | form(str(item.get("body") or ""))
    inner = Call(str(item.get("method", "GET")), segments, params, outer.base_url, version or outer.version)
    inner.rows_taken = outer.rows_taken
    reply = graph.answer(twin, inner)
    outer.routes.extend(inner.routes)
    headers = [{"name": name, "value": value} for name, value in reply.headers.items()]
    return {"code": reply.status, "headers": headers, "body": msgspec.json.encode(reply.body).decode()}
