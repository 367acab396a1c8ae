"""Lines that an Airbyte connector may print."""

from typing import Any

Json = dict[str, Any]


def log(message: str, level: str = "INFO") -> Json:
    return {"type": "LOG", "log": {"level": level, "message": message}}


def trace_error(message: str, failure_type: str | None = None) -> Json:
    said = {"message": message, "internal_message": "inner", "stack_trace": "Traceback of ann"}
    error = said | ({"failure_type": failure_type} if failure_type else {})
    return {"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 1.5, "error": error}}


def status(stream: str = "users", status: str = "COMPLETE", **more: str) -> Json:
    said = {"stream_descriptor": {"name": stream} | more, "status": status}
    return {"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1.5, "stream_status": said}}


def record(stream: str = "users", **data: Any) -> Json:
    return {"type": "RECORD", "record": {"stream": stream, "data": data, "emitted_at": 1}}


def state(value: Any, stream: str = "users", count: float | None = None) -> Json:
    body = {"stream_descriptor": {"name": stream}, "stream_state": value}
    counted = {} if count is None else {"sourceStats": {"recordCount": count}}
    return {"type": "STATE", "state": {"type": "STREAM", "stream": body} | counted}


def offers(*streams: Json) -> Json:
    return {"type": "CATALOG", "catalog": {"streams": list(streams)}}


def users(**changes: Any) -> Json:
    """A stream that can tell what changed, as it is offered."""
    return {
        "name": "users",
        "json_schema": {"type": "object", "properties": {"id": {}, "plan": {}}},
        "supported_sync_modes": ["full_refresh", "incremental"],
        "source_defined_cursor": True,
        "default_cursor_field": ["updated_at"],
        "source_defined_primary_key": [["id"]],
    } | changes


SPEC: Json = {"type": "SPEC", "spec": {"connectionSpecification": {"type": "object", "properties": {}}}}
STATUS: Json = {"type": "CONNECTION_STATUS", "connectionStatus": {"status": "SUCCEEDED"}}
