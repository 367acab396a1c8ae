"""A name that leads into a private network, to this machine or to a cloud's metadata is not dialled.

The resolver is the test's own, and so is the socket: no such address is ever connected to.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from cdp_bridge.errors import ConfigError, TransientError
from cdp_bridge.http.allowed_hosts import VARIABLE
from cdp_bridge.sdk import Client

PRIVATE = [
    *("10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "100.64.0.1", "169.254.169.254", "100.100.100.200"),
    *("168.63.129.16", "0.0.0.0", "::1", "fd00:ec2::254", "fe80::1", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"),
    *("2002:a00:1::", "::10.0.0.1", "2001:0:a00:1::"),
]
ODD = ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "0x7f000001"]


class Listener:
    """A socket of this machine that counts who connects, and answers `{}`."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.requests: list[bytes] = []
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client:
                self.requests.append(client.recv(65_536))
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    opened = Listener()
    yield opened
    opened.close()


class Resolver:
    """The DNS: answers by host, one after another; asks the machine for hosts that it does not have."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self._of_the_machine = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: str, port: int, *arguments: Any, **options: Any) -> list[Any]:
        if host not in self.answers:
            return list(self._of_the_machine(host, port, *arguments, **options))
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in self.answers[host].pop(0)
        ]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    monkeypatch.delenv(VARIABLE, raising=False)
    return Resolver(monkeypatch)


@pytest.mark.parametrize("address", PRIVATE)
@pytest.mark.parametrize("beside", [[], ["93.184.215.14"]], ids=["alone", "beside a public one"])
def test_a_name_that_leads_to_an_address_not_public(resolver: Resolver, address: str, beside: list[str]) -> None:
    resolver.answers["shop.example"] = [[*beside, address]]
    with Client("https://shop.example") as client, pytest.raises(ConfigError, match="not a public one"):
        client.call("GET", "/")


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "fe80::1", "0.0.0.0"])
def test_metadata_is_not_dialled_even_if_it_is_listed(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv(VARIABLE, "shop.example")
    resolver.answers["shop.example"] = [[address]]
    with Client("https://shop.example") as client, pytest.raises(ConfigError, match="not a public one"):
        client.call("GET", "/")


@pytest.mark.parametrize("host", ODD)
def test_this_machine_in_odd_spellings(resolver: Resolver, listener: Listener, host: str) -> None:
    with Client(f"http://{host}:{listener.port}") as client, pytest.raises((ConfigError, TransientError)):
        client.call("GET", "/")
    assert listener.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_plainly_named(resolver: Resolver, listener: Listener, host: str) -> None:
    with Client(f"http://{host}:{listener.port}") as client:
        assert client.call("GET", "/") == {}
    assert len(listener.requests) == 1


@pytest.mark.parametrize("is_of_the_port", [True, False])
def test_the_checked_address_of_a_listed_host_is_the_one_that_is_dialled(
    resolver: Resolver, listener: Listener, monkeypatch: pytest.MonkeyPatch, is_of_the_port: bool
) -> None:
    """A resolver that answers something else the second time is not asked again."""
    monkeypatch.setenv(VARIABLE, f"crm.example:{listener.port}" if is_of_the_port else "crm.example:1")
    resolver.answers["crm.example"] = [["127.0.0.1"], ["169.254.169.254"]]
    with Client(f"http://crm.example:{listener.port}") as client:
        if is_of_the_port:
            assert client.call("GET", "/") == {}
        else:
            with pytest.raises(ConfigError, match=VARIABLE):
                client.call("GET", "/")
    assert [f"Host: crm.example:{listener.port}".encode() in request for request in listener.requests] == (
        [True] if is_of_the_port else []
    )


def test_a_name_that_is_not_known_is_a_failure_that_passes(resolver: Resolver) -> None:
    with Client("https://nowhere.invalid") as client, pytest.raises(TransientError):
        client.call("GET", "/")
