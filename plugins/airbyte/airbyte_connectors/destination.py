"""Implements check, discover and open for Airbyte destinations."""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from collections.abc import Iterator

import msgspec
from cdp_bridge.sdk import Audience, AudienceRef, Batch, Catalog, Outcome, Probe, Stream, TransientError

from airbyte_connectors.messages import Json, Message
from airbyte_connectors.probes import probe
from airbyte_connectors.program import Program
from airbyte_connectors.settings import DestinationSettings

MAX_MARKER_LENGTH = 40
"""Characters of a marker in the name of a stream; databases take 63 for the name of a table."""


def config_schema(settings: DestinationSettings) -> Json:
    """The JSON schema of the connector's own config."""
    return Program(settings).specification()


def check(settings: DestinationSettings) -> list[Probe]:
    """Whether the connector runs, takes its config and connects."""
    return probe(settings, Program(settings))


def discover(settings: DestinationSettings) -> Catalog:
    """One object: an audience that wants the chosen profile."""
    return Catalog((Stream(name="audience", profile=settings.profile, operations=("add", "remove")),))


@contextlib.contextmanager
def open(settings: DestinationSettings) -> Iterator[AirbyteWriter]:
    """A writer; each batch runs the connector anew."""
    yield AirbyteWriter(settings)


class AirbyteWriter:
    """Appends each batch to the stream of its audience.

    Many destinations keep what they got until their input ends, so a batch counts only when a process of its own has
    confirmed it and ended well.
    """

    def __init__(self, settings: DestinationSettings) -> None:
        self._program = Program(settings)
        digest = hashlib.sha256(msgspec.json.encode(settings.config, order="sorted")).hexdigest()
        self._account = f"{self._program.name}-{digest[:12]}"

    def ensure(self, audience: Audience) -> AudienceRef:
        """A stream name that any destination accepts; the stream is created with the first batch.

        It is another one for another config, which may lead to another place, where nobody is yet.
        """
        plain = re.sub(r"\W", "_", audience.marker, flags=re.ASCII)[:MAX_MARKER_LENGTH]
        digest = hashlib.sha256(f"{self._account} {audience.marker}".encode()).hexdigest()
        return AudienceRef(id=f"audience_{plain}_{digest[:12]}", account=self._account)

    def write(self, batch: Batch) -> Outcome:
        """All members are in when the STATE behind them came back and the connector ended well; else TransientError."""
        position = hashlib.sha256(b"".join(batch.keys)).hexdigest()[:16]
        files = {"catalog": configured(batch)}
        with contextlib.closing(self._program.run("write", files, encoded(batch, position))) as messages:
            states = [message.state for message in messages if message.state and _position(message) == position]
        if not states:
            raise TransientError(f"{self._program.name} ended without confirming what it was given")
        # It reports how many it refused, never whom.
        has_refused = (states[-1].get("destinationStats") or {}).get("rejectedRecordCount")
        return Outcome(unknown=frozenset(batch.keys if has_refused else ()))

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        """Nothing is ever pending."""
        return Outcome()


def configured(batch: Batch) -> Json:
    """The configured catalogue: one stream, to which records are appended."""
    text, texts = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
    columns = dict.fromkeys(("operation", "key", "audience"), text) | dict.fromkeys(batch.identifiers, texts)
    return {
        "streams": [
            {
                "stream": {
                    "name": batch.audience.id,
                    "json_schema": {"type": "object", "properties": columns},
                    "supported_sync_modes": ["full_refresh"],
                },
                "sync_mode": "full_refresh",
                "destination_sync_mode": "append",
                # Newer destinations refuse a stream without these; 0 keeps earlier records.
                "generation_id": 0,
                "minimum_generation_id": 0,
                "sync_id": 0,
            }
        ]
    }


def encoded(batch: Batch, position: str) -> bytes:
    """A RECORD for each member, the STATE that confirms them, and COMPLETE, which newer destinations want."""
    stream, now = batch.audience.id, time.time_ns() // 1_000_000
    descriptor = {"name": stream}
    records = [
        {
            "operation": batch.operation,
            "key": key.hex(),
            "audience": stream,
            **{name: values[i] for name, values in batch.identifiers.items()},
        }
        for i, key in enumerate(batch.keys)
    ]
    state = {
        "type": "STREAM",
        "stream": {"stream_descriptor": descriptor, "stream_state": {"position": position}},
        "sourceStats": {"recordCount": float(len(records))},
    }
    status = {"stream_descriptor": descriptor, "status": "COMPLETE"}
    return msgspec.json.Encoder().encode_lines(
        [
            *({"type": "RECORD", "record": {"stream": stream, "data": data, "emitted_at": now}} for data in records),
            {"type": "STATE", "state": state},
            {"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": now, "stream_status": status}},
        ]
    )


def _position(message: Message) -> str | None:
    """The position in a STATE that came back, if it is one of ours."""
    match message.state:
        case {"stream": {"stream_state": {"position": str(position)}}}:
            return position
    return None
