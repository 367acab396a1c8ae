"""The messages of the Airbyte protocol that we print, as plain dicts, and the stdout that carries nothing else."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from cdp_bridge.errors import Stopped
from cdp_bridge.protocol.failure import failure_type, sentence
from cdp_bridge.redact import redact

PROTOCOL_VERSION = "0.18.0"
Message = dict[str, Any]

_encoder = msgspec.json.Encoder(decimal_format="number")
_LEVELS = {"CRITICAL": "FATAL", "WARNING": "WARN"}


def now() -> int:
    """Milliseconds since 1970, as `emitted_at` wants them."""
    return time.time_ns() // 1_000_000


def trace(kind: str, **body: Any) -> Message:
    """A TRACE message of the given type; `body` is the one field that belongs to it."""
    return {"type": "TRACE", "trace": {"type": kind, "emitted_at": now(), **body}}


def error(exception: BaseException) -> Message:
    """The TRACE that ends a failed command."""
    return trace("ERROR", error={"message": sentence(exception), "failure_type": failure_type(exception)})


def stream_status(stream: str, status: str) -> Message:
    """The TRACE that says how far a stream is: STARTED, RUNNING, COMPLETE or INCOMPLETE."""
    return trace("STREAM_STATUS", stream_status={"stream_descriptor": {"name": stream}, "status": status})


def estimate(stream: str, rows: int) -> Message:
    """The TRACE that says how many records a stream will have, about."""
    return trace("ESTIMATE", estimate={"name": stream, "type": "STREAM", "row_estimate": rows})


def state(stream: str, value: Mapping[str, Any], records: int) -> Message:
    """The STATE that covers the `records` of the stream sent since the last one."""
    body = {"stream_descriptor": {"name": stream}, "stream_state": value}
    return {
        "type": "STATE",
        "state": {"type": "STREAM", "stream": body, "sourceStats": {"recordCount": float(records)}},
    }


class ByteStream(Protocol):
    """Where messages go: an unbuffered file, or anything else that takes bytes and says how many."""

    def write(self, data: memoryview, /) -> int | None:
        """Take some of the bytes."""


class Output:
    """Writes whole lines only, from any thread, also when a signal asks the process to stop in the middle of one."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._writer: int | None = None
        self._stopping: int | None = None

    def send(self, *messages: Message) -> None:
        """Print messages; SystemExit if nobody reads them any more."""
        self._write(_encoder.encode_lines(messages))

    def records(self, stream: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Print one RECORD a row."""
        emitted_at = now()
        messages = [
            {"type": "RECORD", "record": {"stream": stream, "data": row, "emitted_at": emitted_at}} for row in rows
        ]
        try:
            lines = _encoder.encode_lines(messages)
        except (TypeError, OverflowError, UnicodeEncodeError):
            lines = _encoder.encode_lines(plain(messages))
        self._write(lines)

    def stop(self, signal: int) -> None:
        """Raise Stopped now, or once the line being written is whole; for signal handlers."""
        if self._writer == threading.get_ident():
            self._stopping = signal
        else:
            raise Stopped(signal)

    def _write(self, lines: bytes) -> None:
        with self._lock:
            self._writer = threading.get_ident()
            try:
                rest = memoryview(lines)
                while rest:
                    rest = rest[self._stream.write(rest) :]
            except (BrokenPipeError, ValueError):
                raise SystemExit(1) from None
            finally:
                self._writer = None
        if self._stopping is not None and threading.current_thread() is threading.main_thread():
            signal, self._stopping = self._stopping, None
            raise Stopped(signal)


class LogMessages(logging.Handler):
    """Turns log records into LOG messages: one redacted line each, never a traceback."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record; one that cannot be formatted is printed as it was written."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        level = _LEVELS.get(record.levelname, record.levelname)
        known = level if level in ("FATAL", "ERROR", "WARN", "INFO", "DEBUG") else "INFO"
        self._output.send({"type": "LOG", "log": {"level": known, "message": redact(text)}})


def plain(value: Any) -> Any:
    """A value with what JSON or msgspec cannot hold as text: huge integers, lone surrogates, objects, odd keys."""
    if isinstance(value, Mapping):
        return {str(key).encode("utf-8", "replace").decode(): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(part) for part in value]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, bytes):
        return value
    return (value.isoformat() if hasattr(value, "isoformat") else str(value)).encode("utf-8", "replace").decode()
