"""What a connector must not be able to do, one function each; what they return is how far they got."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FORBIDDEN = ("169.254.169.254:80", "192.0.2.1:80", "10.0.0.1:443", "8.8.8.8:53", "1.1.1.1:443", "[fd00:ec2::254]:80")
_PIECE = 10_000_000


def fork() -> None:
    """Children that have children."""
    while True:
        try:
            os.fork()
        except OSError:
            time.sleep(0.01)


def memory() -> None:
    """All there is."""
    kept = []
    while True:
        kept.append(b"x" * _PIECE)


def chatter() -> None:
    """An endless log."""
    while True:
        print("and so on " * 10, file=sys.stderr)


def deaf() -> None:
    """Neither asked nor told to end, it does not."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(1)


def die() -> None:
    """Ends by a signal."""
    os.kill(os.getpid(), signal.SIGKILL)


def disk() -> dict[str, Any]:
    """Writes wherever it can, as much as it can, and tries to run what it wrote."""
    written, refused = 0, []
    try:
        with open("/tmp/filler", "wb") as file:
            while True:
                written += file.write(b"x" * _PIECE)
    except OSError as error:
        refused.append(error.strerror)
    os.truncate("/tmp/filler", 0)
    os.chmod("/tmp/filler", 0o755)
    attempts: list[Callable[[], None]] = [
        lambda: os.execv("/tmp/filler", ["x"]),
        Path("/data/x").touch,
        Path("/opt/x").touch,
    ]
    for attempt in attempts:
        try:
            attempt()
        except OSError as error:
            refused.append(error.strerror)
    return {"written": written, "refused": refused}


def call() -> dict[str, Any]:
    """Connects to forbidden places, itself and through the proxy, and asks for a name."""
    gateway, port = os.environ["CDP_BRIDGE_PROXY"].removeprefix("http://").split(":")
    proxied = {one: _through(gateway, int(port), one) for one in (*FORBIDDEN, "localhost:1", "example.com:443")}
    return {"direct": [one for one in FORBIDDEN if _reaches(one)], "proxied": proxied, "name": _resolves("example.com")}


MISDEEDS: dict[str, Callable[[], Any]] = {one.__name__: one for one in (fork, memory, chatter, deaf, die, disk, call)}


def _reaches(place: str) -> bool:
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def _through(gateway: str, port: int, place: str) -> str:
    with socket.create_connection((gateway, port), timeout=5) as proxy:
        proxy.sendall(f"CONNECT {place} HTTP/1.1\r\n\r\n".encode())
        return proxy.recv(1_000).decode().split(" ")[1]


def _resolves(name: str) -> bool:
    try:
        socket.getaddrinfo(name, 443)
    except OSError:
        return False
    return True
