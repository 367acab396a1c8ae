"""What a connector says about itself: SPEC, CONNECTION_STATUS and CATALOG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cdp_bridge import settings
from cdp_bridge.connectors.loading import implementation
from cdp_bridge.model import Catalog, Connector, Probe, Stream
from cdp_bridge.protocol.messages import PROTOCOL_VERSION, Message
from cdp_bridge.redact import redact

_SYNC_MODES = {"add": "append", "remove": "soft_delete", "track": "append"}


def specification(connector: Connector) -> dict[str, Any]:
    """Airbyte's ConnectorSpecification."""
    taken = settings.schema(connector.settings)
    if connector.program:
        # What the image itself takes, which only it can tell.
        config = implementation(connector).config_schema(settings.load(connector.settings, {}))
        taken["properties"]["config"] |= config
    documentation = {"documentationUrl": connector.documentation} if connector.documentation else {}
    # Not overwrite: a writer only adds and removes the members that it is told.
    modes = {"supportsIncremental": True, "supported_destination_sync_modes": ["append", "append_dedup"]}
    return {
        "protocol_version": PROTOCOL_VERSION,
        **documentation,
        "connectionSpecification": taken,
        **(modes if connector.kind == "destination" else {}),
    }


def failures(probes: Sequence[Probe]) -> list[str]:
    """Each failed probe, with what to do about it."""
    # Part by part: a probe "token" with what is wrong with it as a whole looks like a token with its value.
    told = [(f"{probe.name}: {redact(probe.detail)}", redact(probe.remedy)) for probe in probes if not probe.passed]
    return [". ".join(filter(None, parts)) for parts in told]


def connection_status(failed: Sequence[str]) -> Message:
    """SUCCEEDED, or FAILED with what failed."""
    if failed:
        return {"type": "CONNECTION_STATUS", "connectionStatus": {"status": "FAILED", "message": "\n".join(failed)}}
    return {"type": "CONNECTION_STATUS", "connectionStatus": {"status": "SUCCEEDED"}}


def catalog(connector: Connector, offered: Catalog) -> Message:
    """The CATALOG of a source, the DESTINATION_CATALOG of a destination."""
    if connector.kind == "source":
        return {"type": "CATALOG", "catalog": {"streams": [_stream(stream) for stream in offered.streams]}}
    operations = [
        {
            "object_name": stream.name,
            "sync_mode": _SYNC_MODES[operation],
            "json_schema": _schema(stream),
            "matching_keys": [[key] for key in stream.matching_keys],
        }
        for stream in offered.streams
        for operation in stream.operations
    ]
    return {"type": "DESTINATION_CATALOG", "destination_catalog": {"operations": operations}}


def _stream(stream: Stream) -> dict[str, Any]:
    cursor = (
        {"source_defined_cursor": True, "default_cursor_field": [stream.cursor_field]} if stream.cursor_field else {}
    )
    key = {"source_defined_primary_key": [[name] for name in stream.primary_key]} if stream.primary_key else {}
    return {
        "name": stream.name,
        "json_schema": _schema(stream),
        "supported_sync_modes": ["full_refresh", *(["incremental"] if stream.cursor_field else [])],
        **cursor,
        **key,
    }


def _schema(stream: Stream) -> dict[str, Any]:
    if stream.schema or "track" not in stream.operations:
        return stream.schema or {"type": "object", "additionalProperties": True}
    # `spec` pays for no mapping.
    from cdp_bridge.mapping import events

    fields: dict[str, Any] = {field: {} for field in events.FIELDS}
    return {"type": "object", "properties": fields, "required": list(events.REQUIRED), "additionalProperties": True}
