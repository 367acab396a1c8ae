"""Protocol lines from stdin as typed messages; a bad line is named by its number and never quoted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

import msgspec
from msgspec import Struct

from cdp_bridge.errors import ConfigError
from cdp_bridge.files import without_mark

MAX_LINE_BYTES = 64 * 1024 * 1024
"""Bytes; Airbyte platforms cut records far below this."""


class BadLineError(ConfigError):
    """A line that is no message, or one that cannot be obeyed."""

    def __init__(self, number: int, problem: str) -> None:
        super().__init__(
            problem, place=f"line {number} of the input", remedy="Nothing after it was written; mend the source"
        )


class Record(Struct, frozen=True):
    """One record of a stream."""

    stream: str
    data: dict[str, Any]
    namespace: str | None = None


class Line(Struct, frozen=True):
    """A message; of the types that a destination needs not obey nothing but the type is decoded."""

    type: str
    record: Record | None = None
    state: dict[str, Any] | None = None


_decoder = msgspec.json.Decoder(Line)


def lines(stream: IO[bytes]) -> Iterator[tuple[int, int, Line]]:
    """The number from 1, the length in bytes and the message of every line; blank ones are passed over.

    Of a key that a line has twice the last value counts, as with every reader of the protocol.
    """
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES:
            raise BadLineError(number, f"is longer than {MAX_LINE_BYTES} bytes")
        if raw.strip():
            yield number, len(raw), _decode(number, without_mark(raw) if number == 1 else raw)


def _message(raw: bytes) -> Line:
    try:
        return _decoder.decode(raw)
    except msgspec.DecodeError:
        # Senders also print halves of surrogate pairs, NaN, and numbers beyond all bounds.
        return msgspec.convert(_mended(json.loads(raw)), Line)


def _mended(value: Any) -> Any:
    """The value without text that is not Unicode."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_mended(name): _mended(part) for name, part in value.items()}
        case list():
            return list(map(_mended, value))
    return value


def _decode(number: int, raw: bytes) -> Line:
    try:
        line = _message(raw)
    except msgspec.ValidationError:
        raise BadLineError(number, "is not a message of the Airbyte protocol") from None
    except (ValueError, RecursionError):
        raise BadLineError(number, "is not JSON in UTF-8") from None
    if (line.type == "RECORD" and line.record is None) or (line.type == "STATE" and line.state is None):
        raise BadLineError(number, f"is a {line.type} without its content")
    return line
