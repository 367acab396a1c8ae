"""Listens on a socket and handles a bounded number of connections, each in a thread."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 64
MAX_HEAD_BYTES = 32_768
HEAD_SECONDS = 10.0
IDLE_SECONDS = 900.0


class RefusedError(Exception):
    """A connection that is refused, with the reason and the HTTP status for it."""

    def __init__(self, reason: str, status: int = 403) -> None:
        super().__init__(reason)
        self.status = status


class TcpListener:
    """A listening socket; a context manager that closes it."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = socket.create_server((address, port))
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._open: set[socket.socket] = set()
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> TcpListener:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            # Wakes the thread that waits for a connection.
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for end in list(self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve(self, client: socket.socket) -> None:
        """Handle one connection."""
        raise NotImplementedError

    def join(self, client: socket.socket, host: socket.socket, begin: Callable[[], None] = lambda: None) -> None:
        """Copy bytes both ways until both sides have ended or the listener closes; `begin` copies the host's first."""
        both = {client, host}
        self._open |= both
        for end in both:
            end.settimeout(IDLE_SECONDS)
        back = threading.Thread(target=_copy, args=(host, client, begin), daemon=True)
        back.start()
        _copy(client, host)
        back.join()
        self._open -= both

    def _accept(self) -> None:
        while True:
            self._free.acquire()
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._served, args=(client,), daemon=True).start()

    def _served(self, client: socket.socket) -> None:
        try:
            with client:
                client.settimeout(HEAD_SECONDS)
                self.serve(client)
        except (OSError, ValueError) as error:
            log.debug("a connection ended with %s", type(error).__name__)
        finally:
            self._free.release()


def read_head(client: socket.socket) -> tuple[list[str], bytes]:
    """The lines of an HTTP head, and the bytes after it; ValueError if it is none."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(8_192)
        if not piece or len(data) > MAX_HEAD_BYTES:
            raise ValueError("no HTTP head")
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode("latin-1").split("\r\n"), rest


def _copy(source: socket.socket, target: socket.socket, begin: Callable[[], None] = lambda: None) -> None:
    with contextlib.suppress(OSError, ValueError):
        begin()
        while piece := source.recv(65_536):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
