"""A server between a connector and its twin that passes everything on, remembers it, and fails on demand."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

# Bound here: the kit replaces time.sleep for the connector, not for the network.
_sleep = time.sleep

PAGE = b"<!DOCTYPE html><html><body>Sorry, something went wrong.</body></html>"
Headers = Sequence[tuple[str, str]]
FaultKind = Literal["answer", "cut_before", "cut_after", "half", "slow"]


@dataclass(frozen=True)
class Request:
    """What the connector sent: method, path with query, headers and body."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way to fail.

    `answer`: the twin is not asked, `status`, `headers` and `body` answer; `cut_before`, `cut_after`: the connection
    ends before the twin was asked, or after; `half`: half of the twin's body; `slow`: the twin's answer in drips.
    """

    kind: FaultKind = "answer"
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = PAGE


@dataclass
class _Planned:
    fault: Fault
    after: int
    times: int | None


class Relay:
    """Passes requests on to `upstream`; `url` is where it listens.

    `requests` are what came, in order, `answers` the bodies that the twin answered with, `failed` how many requests
    have failed since the last `heal`.
    """

    def __init__(self, upstream: str) -> None:
        self.requests: list[Request] = []
        self.answers: list[bytes] = []
        self.failed = 0
        self._upstream = urlsplit(upstream)
        self._planned: list[_Planned] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}{self._upstream.path}"

    @contextlib.contextmanager
    def running(self) -> Iterator[Relay]:
        """Serve for the length of a `with` block."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()

    def fail(self, fault: Fault, *, after: int = 0, times: int | None = 1) -> None:
        """Let requests fail: `times` of them (None: all) once `after` more have passed."""
        with self._lock:
            self._planned.append(_Planned(fault, after, times))

    def heal(self) -> None:
        """Fail no more."""
        with self._lock:
            self._planned.clear()
            self.failed = 0

    def take(self, request: Request) -> Fault | None:
        """Remember a request; the fault that is planned for it."""
        with self._lock:
            self.requests.append(request)
            for planned in self._planned:
                if planned.times == 0:
                    continue
                if planned.after:
                    planned.after -= 1
                    return None
                planned.times = None if planned.times is None else planned.times - 1
                self.failed += 1
                return planned.fault
            return None

    def ask(self, request: Request) -> tuple[int, Headers, bytes]:
        """The twin's answer to a request."""
        connection = http.client.HTTPConnection(self._upstream.hostname or "", self._upstream.port, timeout=60)
        try:
            headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
            connection.request(request.method, request.path, request.body or None, headers | {"Connection": "close"})
            response = connection.getresponse()
            body = response.read()
            self.answers.append(body)
            return response.status, response.getheaders(), body
        finally:
            connection.close()


def _handler(relay: Relay) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        def ask(self, request: Request) -> None:
            fault = relay.take(request)
            if fault and fault.kind == "answer":
                self.answer(fault.status, [*fault.headers.items()], fault.body)
            elif fault and fault.kind == "cut_before":
                self.cut()
            else:
                self.spoil(fault, *relay.ask(request))

    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are two writes; the second would wait for the other side's delayed acknowledgement.
    disable_nagle_algorithm = True

    def ask(self, request: Request) -> None:
        """Answer a request."""
        raise NotImplementedError

    def spoil(self, fault: Fault | None, status: int, headers: Headers, body: bytes) -> None:
        """Give the twin's answer, or what a fault makes of it."""
        match fault and fault.kind:
            case "cut_after":
                self.cut()
            case "half":
                self.answer(status, headers, body[: len(body) // 2])
            case kind:
                self.answer(status, headers, body, drips=5 if kind == "slow" else 1)

    def answer(self, status: int, headers: Headers, body: bytes, drips: int = 1) -> None:
        """Send an answer, in so many pieces."""
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        step = len(body) // drips + 1
        for start in range(0, len(body), step):
            self.wfile.write(body[start : start + step])
            if drips > 1:
                _sleep(0.02)

    def cut(self) -> None:
        """Close the connection without an answer."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _read(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.ask(Request(self.command, self.path, dict(self.headers), body))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _read  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Write no log line."""
