"""Decodes the messages of the Airbyte protocol that the bridge uses."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from typing import Any

import msgspec
from cdp_bridge.sdk import ConfigError
from msgspec import Struct

Json = dict[str, Any]

_CONTENTS = {"RECORD": "record", "STATE": "state", "TRACE": "trace"}


class StreamName(Struct, frozen=True):
    """A stream's name and, where a source groups streams, its namespace."""

    name: str
    namespace: str | None = None

    def __str__(self) -> str:
        return f"{self.namespace}.{self.name}" if self.namespace else self.name


class Record(Struct, frozen=True):
    """One record of a stream."""

    stream: str
    data: Json
    namespace: str | None = None


class StreamStatus(Struct, frozen=True):
    """How far a stream is: STARTED, RUNNING, COMPLETE or INCOMPLETE."""

    stream_descriptor: StreamName
    status: str


class Failure(Struct, frozen=True):
    """Why a connector failed; its stack trace is not decoded."""

    message: str = ""
    failure_type: str | None = None


class Trace(Struct, frozen=True):
    """What a connector says about itself: a failure, the status of a stream, or something that is ignored."""

    type: str
    error: Failure | None = None
    stream_status: StreamStatus | None = None


class Log(Struct, frozen=True):
    """A line of a connector's log."""

    level: str
    message: str


class OfferedStream(Struct, frozen=True):
    """A stream as a source offers it."""

    name: str
    json_schema: Json
    namespace: str | None = None
    supported_sync_modes: tuple[str, ...] = ("full_refresh",)
    source_defined_cursor: bool | None = None
    default_cursor_field: tuple[str, ...] | None = None
    source_defined_primary_key: tuple[tuple[str, ...], ...] | None = None

    @property
    def full_name(self) -> StreamName:
        """Its name with its namespace."""
        return StreamName(self.name, self.namespace)

    @property
    def is_incremental(self) -> bool:
        """Whether it supports incremental reads without a chosen cursor field."""
        has_cursor = bool(self.source_defined_cursor or self.default_cursor_field)
        return has_cursor and "incremental" in self.supported_sync_modes


class OfferedCatalog(Struct, frozen=True):
    """All streams of a source."""

    streams: tuple[OfferedStream, ...]


class ConnectionStatus(Struct, frozen=True):
    """SUCCEEDED, or FAILED with a reason."""

    status: str
    message: str | None = None


class Specification(Struct, frozen=True, rename="camel"):
    """The JSON schema of a connector's config."""

    connection_specification: Json


class Message(Struct, frozen=True):
    """One line; of ignored types only the type is decoded."""

    type: str = ""
    record: Record | None = None
    state: Json | None = None
    trace: Trace | None = None
    log: Log | None = None
    catalog: OfferedCatalog | None = None
    spec: Specification | None = None
    connection_status: ConnectionStatus | None = msgspec.field(default=None, name="connectionStatus")


_decoder = msgspec.json.Decoder(Message)
_TYPE = re.compile(rb'"type"\s*:\s*"(?:RECORD|STATE|TRACE|CONTROL|CATALOG|SPEC|CONNECTION_STATUS)"')


def decode(number: int, line: bytes | bytearray) -> Message | None:
    """The message in a line, or None if it is none, but other output of the connector.

    Raises ConfigError, without quoting it, for a line that begins as a message does and cannot be read, or that has a
    message behind or before other text: it may be a record.
    """
    line = line.removeprefix(BOM_UTF8) if number == 1 else line
    try:
        message = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if line.lstrip().startswith(b"{"):
            raise _broken(number, "is no message of the Airbyte protocol") from None
        if _TYPE.search(line):
            raise _broken(number, "has a message of the Airbyte protocol among other text") from None
        return None
    if message.type in _CONTENTS and getattr(message, _CONTENTS[message.type]) is None:
        raise _broken(number, f"is a {message.type} without its content")
    return message


def _broken(number: int, problem: str) -> ConfigError:
    remedy = "Report it to the connector's maintainers, or try another version of it"
    return ConfigError(problem, place=f"line {number}", remedy=remedy)
