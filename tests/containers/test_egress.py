"""The one way out leads to the connector's hosts only; no container is needed to see that."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.connectors.launch.egress import PROXY_PORT, Place, Proxy, Rules, Tunnel, tunnelled, usable_proxies
from cdp_bridge.connectors.launch.hardening import Box
from cdp_bridge.connectors.launch.origins import origins
from cdp_bridge.connectors.launch.tcp_listener import RefusedError
from cdp_bridge.errors import ConfigError, TransientError
from cdp_bridge.http import network
from cdp_bridge.http.client import Client
from cdp_bridge.model import Connector
from cdp_bridge.secrets import Secret
from msgspec import Struct

from core.tests.http.private import Authority, ForwardProxy, host

GATEWAY = "127.0.0.77"
pytestmark = pytest.mark.usefixtures("no_network_variables")


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f'"{self.path} of {self.headers["Host"]}"'.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def servers() -> Iterator[list[int]]:
    """The ports of two hosts."""
    running = [ThreadingHTTPServer(("127.0.0.1", 0), Answer) for _ in range(2)]
    for server in running:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield [server.server_port for server in running]
    for server in running:
        server.shutdown()
        server.server_close()


def rules(*hosts: str, vendor: tuple[str, ...] = ()) -> Rules:
    return Rules(Connector(name="x", kind="source", settings=Struct, load="x", hosts=vendor), hosts)


def test_requests_go_to_the_hosts_that_settings_name_and_to_no_other(
    servers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (f"http://localhost:{port}" for port in servers)
    monkeypatch.setenv("CDP_BRIDGE_PROXY", f"http://{GATEWAY}:{PROXY_PORT}")
    with Proxy(GATEWAY, rules(first)), Client(first) as allowed, Client(second) as denied:
        assert [allowed.call("GET", "/a?b=c") for _ in range(2)] == [f"/a?b=c of localhost:{servers[0]}"] * 2
        with pytest.raises(ConfigError, match="localhost may not be reached from this container"):
            denied.call("GET", "/")
        with Client(f"https://localhost:{servers[1]}") as tls, pytest.raises(ConfigError, match="may not be reached"):
            tls.call("GET", "/")
    with Client(first) as late, pytest.raises(TransientError):
        late.call("GET", "/")


def test_two_hosts_over_one_proxy_are_not_mixed_up(servers: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    urls = [f"http://localhost:{port}" for port in servers]
    monkeypatch.setenv("CDP_BRIDGE_PROXY", f"http://{GATEWAY}:{PROXY_PORT}")
    with Proxy(GATEWAY, rules(*urls)), Client(urls[0]) as one, Client(urls[1]) as other:
        for _ in range(2):
            assert one.call("GET", "/") == f"/ of localhost:{servers[0]}"
            assert other.call("GET", "/") == f"/ of localhost:{servers[1]}"


@pytest.mark.parametrize(
    ("allowed", "place"),
    [
        (rules(vendor=("graph.example.com",)), ("graph.example.com.evil.test", 443)),
        (rules(vendor=("*.example.com",)), ("example.org", 443)),
        (rules(vendor=("graph.example.com",)), ("graph.example.com", 80)),
        (rules(vendor=("localhost",)), ("localhost", 443)),
        (rules(vendor=("10.0.0.1",)), ("10.0.0.1", 443)),
        (rules(vendor=("[::ffff:10.0.0.1]",)), ("::ffff:10.0.0.1", 443)),
        (rules("http://169.254.169.254"), ("169.254.169.254", 80)),
        (rules("http://0.0.0.0:80"), ("0.0.0.0", 80)),
        (rules("https://graph.example.com"), ("93.184.216.34", 443)),
    ],
)
def test_other_hosts_ports_and_addresses_are_refused(allowed: Rules, place: tuple[str, int]) -> None:
    with pytest.raises(RefusedError, match=r"not a host of this connector|not a public one"):
        allowed.dial(*place)


@pytest.fixture
def boxed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of this process goes by the way out of a container."""
    monkeypatch.setenv("CDP_BRIDGE_PROXY", f"http://{GATEWAY}:{PROXY_PORT}")


@pytest.mark.usefixtures("boxed_in")
def test_the_way_out_goes_on_by_the_proxy_of_the_machine(
    servers: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with host(authority.server_context()) as port, ForwardProxy(port) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://me:p%40ss-of-it@127.0.0.1:{proxy.port}")
        tls, plain = f"https://localhost:{port}", f"http://localhost:{servers[0]}"
        with Proxy(GATEWAY, rules(tls, plain)), Client(tls) as first, Client(plain) as second:
            assert first.call("GET", "/") == 1
            assert second.call("GET", "/x") == 2
            monkeypatch.setenv("NO_PROXY", "localhost")
            assert second.call("GET", "/x") == f"/x of localhost:{servers[0]}"
    assert [line.rpartition(" ")[0] for line in proxy.asked] == [f"CONNECT localhost:{port}", f"GET {plain}/x"]
    assert proxy.credentials == ["Basic bWU6cEBzcy1vZi1pdA=="] * 2


@pytest.mark.usefixtures("boxed_in")
@pytest.mark.parametrize(("status", "why"), [(407, "wants another user or password"), (502, "answers 502")])
def test_a_container_is_told_what_the_proxy_of_the_machine_refuses(
    status: int, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ForwardProxy(0, status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:p%40ss-of-it@127.0.0.1:{proxy.port}")
        allowed = rules("https://graph.example.test")
        with Proxy(GATEWAY, allowed), Client("https://graph.example.test") as client:
            place = rf"the proxy http://127.0.0.1:{proxy.port} \(HTTPS_PROXY\) {why}"
            with pytest.raises(TransientError, match=f"graph.example.test cannot be reached .*{place}"):
                client.call("GET", "/")


def test_a_machine_with_a_proxy_still_refuses_other_hosts_and_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    by = network.Proxy("http://127.0.0.1:1", "http://127.0.0.1:1", "HTTPS_PROXY")
    for allowed, place in ((rules("http://169.254.169.254"), ("169.254.169.254", 80)), (rules(), ("a.example", 443))):
        with pytest.raises(RefusedError, match=r"not a host of this connector|not a public one"):
            allowed.dial(*place, by)


def test_a_proxy_that_speaks_tls_is_refused_for_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "https://proxy.example.test")
    with pytest.raises(ConfigError, match="HTTPS_PROXY: containers cannot speak TLS to a proxy"):
        usable_proxies()


@pytest.mark.parametrize(
    "request_line", [b"", b"GET / HTTP/1.1", b"GET ftp://x/ HTTP/1.1", b"x" * 40_000, b"CONNECT :99999 HTTP/1.1"]
)
def test_what_is_no_request_is_hung_up_on(request_line: bytes) -> None:
    with Proxy(GATEWAY, rules("http://localhost")), socket.create_connection((GATEWAY, PROXY_PORT)) as client:
        client.sendall(request_line + b"\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""


def test_a_warehouse_is_reached_by_a_tunnel_on_its_own_port(servers: list[int]) -> None:
    allowed = rules(f"postgresql://localhost:{servers[0]}")
    (place,) = allowed.named
    assert place.tunnelled
    with Tunnel(GATEWAY, allowed, place), socket.create_connection((GATEWAY, servers[0])) as client:
        client.sendall(b"GET /t HTTP/1.0\r\nHost: warehouse\r\n\r\n")
        assert b"/t of warehouse" in client.makefile("rb").read()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_warehouse_that_has_no_name_of_its_own_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="cannot be reached from a container"):
        tunnelled(rules(f"postgresql://{host}"))


def test_ports_follow_from_the_scheme_and_what_has_none_is_named() -> None:
    assert Place.of("postgresql+psycopg://db") == Place("db", 5432, True)
    assert Place.of("https://api") == Place("api", 443)
    with pytest.raises(ConfigError, match="db: no port is known for oracle"):
        Place.of("oracle://db")


def test_origins_come_from_every_url_in_settings_without_credentials() -> None:
    class Warehouse(Struct):
        url: Secret

    class Settings(Struct):
        base_url: str
        warehouse: Warehouse
        path: str = "duckdb:////file"
        note: str = "see http://["

    settings = Settings("https://api.example.com/v1", Warehouse(Secret("postgresql://me:hidden@db.example.com:6432/x")))
    assert origins(settings) == ("https://api.example.com", "postgresql://db.example.com:6432")


def test_a_limit_that_is_no_number_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_BRIDGE_DOCKER_MEMORY", "lots")
    with pytest.raises(ConfigError, match="CDP_BRIDGE_DOCKER_MEMORY"):
        Box.from_environment()
