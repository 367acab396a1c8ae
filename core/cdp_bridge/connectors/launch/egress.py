"""Lets a container reach the hosts of its connector only, through a forward proxy and tunnels."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from cdp_bridge.connectors.launch.tcp_listener import RefusedError, TcpListener, read_head
from cdp_bridge.errors import ConfigError
from cdp_bridge.http import network
from cdp_bridge.http.addresses import Address, is_never_dialled, is_public
from cdp_bridge.model import Connector
from cdp_bridge.redact import redact

log = logging.getLogger(__name__)

_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "postgres": 5432, "redshift": 5439, "mysql": 3306}
CONNECT_SECONDS = 10.0
PROXY_PORT = 13128
"""On the address of each network's gateway; fixed, so that a rule of a firewall can name it."""


class Place(Struct, frozen=True):
    """A host and port that may be reached; `tunnelled` if its clients do not support proxies."""

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
    """What a connector may reach: public addresses of its vendor's hosts, and the hosts that its settings name."""

    def __init__(self, connector: Connector, hosts: Iterable[str]) -> None:
        self._vendor = [Place.of(host) for host in connector.hosts]
        self.named = list(dict.fromkeys(map(Place.of, hosts)))

    def __bool__(self) -> bool:
        return bool(self._vendor or self.named)

    def dial(self, host: str, port: int, by: network.Proxy | None = None) -> socket.socket:
        """A connection to an address that was checked; RefusedError if the connector may not reach it.

        With `by` it is one to that proxy of the machine, which resolves names itself; only an address can be checked.
        """
        host = host.lower().rstrip(".")
        is_named = any((place.host, place.port) == (host, port) for place in self.named)
        if not is_named and not any(place.port == port and _matches(place.host, host) for place in self._vendor):
            raise RefusedError("it is not a host of this connector")
        if by is not None:
            with contextlib.suppress(ValueError):
                _check(ipaddress.ip_address(host), is_named)
            return _connected_to(by)
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            raise RefusedError("its name is not known", status=502) from None
        for *_, address in addresses:
            _check(ipaddress.ip_address(address[0]), is_named)
        return _connected(addresses)


def tunnelled(rules: Rules) -> list[Place]:
    """The places that need a tunnel; ConfigError for one whose name cannot be made to lead to it."""
    places = [place for place in rules.named if place.tunnelled]
    for place in places:
        if place.host == "localhost" or ":" in place.host or place.host.replace(".", "").isdigit():
            remedy = "Name it by the name of its host: that is what leads to it from a container"
            raise ConfigError("cannot be reached from a container", place=f"{place.host}:{place.port}", remedy=remedy)
    return places


def _matches(pattern: str, host: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def _check(address: Address, is_named: bool) -> None:
    if is_never_dialled(address) or not (is_named or is_public(address)):
        raise RefusedError("its address is not a public one")


def _connected(addresses: Sequence[tuple[Any, ...]]) -> socket.socket:
    for family, type_, protocol, _, address in addresses:
        dialled = socket.socket(family, type_, protocol)
        dialled.settimeout(CONNECT_SECONDS)
        try:
            dialled.connect(address)
        except OSError:
            dialled.close()
        else:
            return dialled
    raise RefusedError("it does not answer", status=502)


def _connected_to(proxy: network.Proxy) -> socket.socket:
    parts = urlsplit(proxy.url)
    try:
        return socket.create_connection((parts.hostname or "", parts.port or _PORTS["http"]), CONNECT_SECONDS)
    except OSError as error:
        raise RefusedError(f"{proxy} does not answer ({(error.strerror or 'timed out').lower()})", status=502) from None


class Proxy(TcpListener):
    """Speaks HTTP: `CONNECT host:port`, and requests for absolute http URLs, one on each connection.

    Where the environment of this process names a proxy for the host, it goes on by that one.
    """

    def __init__(self, address: str, rules: Rules) -> None:
        self._rules = rules
        super().__init__(address, PROXY_PORT)

    def serve(self, client: socket.socket) -> None:
        """Answer one request."""
        head, rest = read_head(client)
        host, port = _target(head[0])
        is_tunnel = head[0].startswith("CONNECT ")
        by = network.proxy_to("https" if is_tunnel else "http", host, port)
        try:
            upstream = self._rules.dial(host, port, by)
            if is_tunnel and by:
                _tunnel(upstream, by, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        except RefusedError as refusal:
            log.warning("a connection to %s was refused: %s", redact(f"{host}:{port}"), refusal)
            client.sendall(_answer(refusal))
            return
        with upstream:
            if is_tunnel:
                client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                upstream.sendall(rest)
                self.join(client, upstream)
            else:
                upstream.sendall((_last(head, _credentials(by)) if by else _last(_origin_form(head))) + rest)
                self.join(client, upstream, lambda: _pass_on(upstream, client))


def usable_proxies() -> None:
    """Raise ConfigError for a proxy of the environment by which no container can get out."""
    for scheme in ("http", "https"):
        # A name that is on no list of exceptions but `*`.
        proxy = network.proxy_to(scheme, "host.invalid", None)
        if proxy and proxy.url.startswith("https://"):
            remedy = "Name an http:// proxy for them; what is sent to hosts is encrypted all the same"
            raise ConfigError("containers cannot speak TLS to a proxy", place=proxy.variable, remedy=remedy)


def _tunnel(upstream: socket.socket, proxy: network.Proxy, target: str) -> None:
    """Let a proxy connect to the target; RefusedError, and the connection is closed, if it does not."""
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", *_credentials(proxy), "", ""]
    why = "gives no answer that can be read"
    try:
        upstream.sendall("\r\n".join(lines).encode("latin-1"))
        head, rest = read_head(upstream)
        status = head[0].split(" ")[1]
        if status.startswith("2") and not rest:
            return
        why = "wants another user or password (407)" if status == "407" else f"answers {status}"
    except (OSError, ValueError, IndexError):
        pass
    upstream.close()
    raise RefusedError(f"{proxy} {why}", status=502)


def _credentials(proxy: network.Proxy) -> list[str]:
    """The header line with the user and password of a proxy, if its URL has them."""
    parts = urlsplit(proxy.url)
    if parts.username is None:
        return []
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return [f"Proxy-Authorization: Basic {b64encode(pair.encode()).decode()}"]


def _answer(refusal: RefusedError) -> bytes:
    """A response that says, by RFC 9209, that the proxy refused and not the host."""
    why = "http_request_denied" if refusal.status == 403 else "destination_unavailable"
    phrase = str(refusal).encode("ascii", "replace").decode()
    lines = (f"HTTP/1.1 {refusal.status} {phrase}", f"Proxy-Status: cdp-bridge; error={why}", "Content-Length: 0")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


def _target(line: str) -> tuple[str, int]:
    """Host and port of a proxy request line; ValueError if it is none."""
    method, target, _ = line.split(" ")
    parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
    if not parts.hostname or parts.scheme not in ("", "http"):
        raise ValueError("no target of a proxy")
    return parts.hostname, parts.port or _PORTS["http"]


def _origin_form(head: Sequence[str]) -> list[str]:
    """The head of a proxy request in origin form."""
    method, target, version = head[0].split(" ")
    parts = urlsplit(target)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return [f"{method} {path} {version}", *head[1:]]


def _pass_on(host: socket.socket, client: socket.socket) -> None:
    """Forward the head of the response with Connection: close."""
    head, rest = read_head(host)
    client.sendall(_last(head) + rest)


def _last(head: Sequence[str], more: Sequence[str] = ()) -> bytes:
    """A head with `more` lines and Connection: close, since the next request may be for another host."""
    hop = ("connection:", "proxy-", "keep-alive:")
    lines = [head[0], *(line for line in head[1:] if not line.lower().startswith(hop))]
    return "\r\n".join([*lines, *more, "Connection: close", "", ""]).encode("latin-1")


class Tunnel(TcpListener):
    """Forwards connections to one place, for any protocol."""

    def __init__(self, address: str, rules: Rules, place: Place) -> None:
        self._rules, self._place = rules, place
        super().__init__(address, place.port)

    def serve(self, client: socket.socket) -> None:
        """Forward one connection to the place."""
        try:
            host = self._rules.dial(self._place.host, self._place.port)
        except RefusedError as refusal:
            log.warning("%s cannot be reached: %s", self._place.host, refusal)
            return
        with host:
            self.join(client, host)
