"""Reads the list of hosts that settings may name besides the vendors', and that may be of a private network."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from cdp_bridge.errors import ConfigError

VARIABLE = "CDP_BRIDGE_ALLOWED_HOSTS"
HOST = r"(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
"""The pattern of a host, with its port if that is given."""
_ENTRY = re.compile(rf"(?P<plain>http://)?(?P<below>\*\.)?{HOST}", re.IGNORECASE | re.ASCII)


class Origin(NamedTuple):
    """Where a URL leads; the port is None if it is not known."""

    scheme: str
    host: str
    port: int | None

    @property
    def is_plain(self) -> bool:
        """Whether what is sent there could be read on the way."""
        return self.scheme == "http" and not _is_loopback(self.host)


class Listed(NamedTuple):
    """An entry of the list: `*.` before those below; no port: any; `is_plain`: also unencrypted."""

    pattern: str
    port: int | None
    is_plain: bool

    def covers(self, origin: Origin) -> bool:
        """Whether it allows what leads there; unencrypted only if it says so."""
        if origin.is_plain and not self.is_plain:
            return False
        return matches(self.pattern, origin.host) and self.port in (None, origin.port)


def listed(entries: Iterable[str]) -> list[Listed]:
    """The entries of a list: HOST, HOST:PORT, *.DOMAIN; `http://` before one allows to send unencrypted there.

    Raises ConfigError for one that is none of these.
    """
    found = []
    for entry in entries:
        match = _ENTRY.fullmatch(entry)
        if match is None:
            remedy = "Write HOST, HOST:PORT or *.DOMAIN, with http:// before it only where there is no TLS"
            raise ConfigError("is no host", place=f"--allow-host {entry}", remedy=remedy)
        host, port = named(match)
        found.append(Listed(f"{match['below'] or ''}{host}", port, match["plain"] is not None))
    return found


def listed_here() -> list[Listed]:
    """The entries of the list in the environment of this process."""
    return listed(os.environ.get(VARIABLE, "").split())


def named(match: re.Match[str]) -> tuple[str, int | None]:
    """Host and port of a match of `HOST`."""
    return match["host"].lower().strip("[]"), int(match["port"]) if match["port"] else None


def matches(pattern: str, host: str) -> bool:
    """Whether a pattern, HOST or *.DOMAIN, is that of a host."""
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
