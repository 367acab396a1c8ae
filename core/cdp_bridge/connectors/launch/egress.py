"""The one way out of a container: a forward proxy and tunnels that lead to the hosts of its connector only."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from cdp_bridge.connectors.launch.tcp_listener import RefusedError, TcpListener, read_head
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import Connector
from cdp_bridge.redact import redact

log = logging.getLogger(__name__)

_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "postgres": 5432, "redshift": 5439, "mysql": 3306}
CONNECT_SECONDS = 10.0
PROXY_PORT = 13128
"""On the address of each network's gateway; fixed, so that a rule of a firewall can name it."""


class Place(Struct, frozen=True):
    """A host and port that may be reached; `tunnelled` when what speaks to it knows no proxies."""

    host: str
    port: int
    tunnelled: bool = False

    @classmethod
    def of(cls, url: str) -> Place:
        """The place of `scheme://host:port`; without a scheme it is https."""
        parts = urlsplit(url if "://" in url else f"https://{url}")
        scheme = parts.scheme.partition("+")[0]
        port = parts.port or _PORTS.get(scheme)
        if not parts.hostname or port is None:
            remedy = "Write the port into the URL of the settings"
            raise ConfigError(f"no port is known for {scheme}", place=parts.hostname or "", remedy=remedy)
        return cls(parts.hostname.lower(), port, scheme not in ("http", "https"))


class Rules:
    """Where a connector may go: to its vendor's hosts, as far as they are public, and to what the settings name."""

    def __init__(self, connector: Connector, hosts: Iterable[str]) -> None:
        self._vendor = [Place.of(host) for host in connector.hosts]
        self.named = list(dict.fromkeys(map(Place.of, hosts)))

    def __bool__(self) -> bool:
        return bool(self._vendor or self.named)

    def dial(self, host: str, port: int) -> socket.socket:
        """A connection to the very address that was looked at; RefusedError if the connector has no business there."""
        host = host.lower().rstrip(".")
        is_named = any((one.host, one.port) == (host, port) for one in self.named)
        if not is_named and not any(one.port == port and _matches(one.host, host) for one in self._vendor):
            raise RefusedError("it is not a host of this connector")
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            raise RefusedError("its name is not known", status=502) from None
        for *_, address in found:
            if not _may_be_reached(ipaddress.ip_address(address[0]), is_named):
                raise RefusedError("its address is not a public one")
        return _connected(found)


def tunnelled(rules: Rules) -> list[Place]:
    """The places that need a tunnel; ConfigError for one whose name cannot be made to lead to it."""
    found = [place for place in rules.named if place.tunnelled]
    for place in found:
        if place.host == "localhost" or ":" in place.host or place.host.replace(".", "").isdigit():
            remedy = "Name it by the name of its host: that is what leads to it from a container"
            raise ConfigError("cannot be reached from a container", place=f"{place.host}:{place.port}", remedy=remedy)
    return found


def _matches(pattern: str, host: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def _may_be_reached(address: ipaddress.IPv4Address | ipaddress.IPv6Address, is_named: bool) -> bool:
    address = getattr(address, "ipv4_mapped", None) or address
    if is_named:
        # Cloud machines hand out their credentials on a link-local address: nobody's settings may name that.
        return not (address.is_link_local or address.is_multicast or address.is_unspecified)
    return address.is_global and not address.is_multicast


def _connected(found: Sequence[tuple[Any, ...]]) -> socket.socket:
    for family, kind, protocol, _, address in found:
        dialled = socket.socket(family, kind, protocol)
        dialled.settimeout(CONNECT_SECONDS)
        try:
            dialled.connect(address)
        except OSError:
            dialled.close()
        else:
            return dialled
    raise RefusedError("it does not answer", status=502)


class Proxy(TcpListener):
    """Speaks HTTP: `CONNECT host:port`, and requests for absolute http URLs, one on each connection."""

    def __init__(self, address: str, rules: Rules) -> None:
        self._rules = rules
        super().__init__(address, PROXY_PORT)

    def serve(self, client: socket.socket) -> None:
        """Answer one request."""
        head, rest = read_head(client)
        host, port = _target(head[0])
        try:
            found = self._rules.dial(host, port)
        except RefusedError as refusal:
            log.warning("a connection to %s was refused: %s", redact(f"{host}:{port}"), refusal)
            client.sendall(_answer(refusal))
            return
        with found:
            if head[0].startswith("CONNECT "):
                client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                found.sendall(rest)
                self.join(client, found)
            else:
                found.sendall(_last(_origin_form(head)) + rest)
                self.join(client, found, lambda: _pass_on(found, client))


def _answer(refusal: RefusedError) -> bytes:
    """As RFC 9209 wants it: the host itself did not say this."""
    why = "http_request_denied" if refusal.status == 403 else "destination_unavailable"
    lines = (f"HTTP/1.1 {refusal.status} Refused", f"Proxy-Status: cdp-bridge; error={why}", "Content-Length: 0")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


def _target(line: str) -> tuple[str, int]:
    """Where a request line wants to go; ValueError for what is no request to a proxy."""
    method, target, _ = line.split(" ")
    parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
    if not parts.hostname or parts.scheme not in ("", "http"):
        raise ValueError("no target of a proxy")
    return parts.hostname, parts.port or _PORTS["http"]


def _origin_form(head: Sequence[str]) -> list[str]:
    """The head of a request as its host wants it."""
    method, target, version = head[0].split(" ")
    parts = urlsplit(target)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return [f"{method} {path} {version}", *head[1:]]


def _pass_on(host: socket.socket, client: socket.socket) -> None:
    """The head of the answer; not every host says that it closes."""
    head, rest = read_head(host)
    client.sendall(_last(head) + rest)


def _last(head: Sequence[str]) -> bytes:
    """A head after whose message the connection is closed, since the next one may be for another host."""
    hop = ("connection:", "proxy-", "keep-alive:")
    lines = [head[0], *(line for line in head[1:] if not line.lower().startswith(hop))]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


class Tunnel(TcpListener):
    """Leads to one place, whatever is spoken there."""

    def __init__(self, address: str, rules: Rules, place: Place) -> None:
        self._rules, self._place = rules, place
        super().__init__(address, place.port)

    def serve(self, client: socket.socket) -> None:
        """Join a connection with one to the place."""
        try:
            host = self._rules.dial(self._place.host, self._place.port)
        except RefusedError as refusal:
            log.warning("%s cannot be reached: %s", self._place.host, refusal)
            return
        with host:
            self.join(client, host)
