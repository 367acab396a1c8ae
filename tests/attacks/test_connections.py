"""Clients that hold connections, send slowly or frame requests in two ways keep nobody else waiting."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import ExitStack

import pytest
import requests
from cdp_bridge.server import connection
from cdp_bridge.store import Store

from .conftest import Target, attacked

HEAD = b"GET /v1/connectors HTTP/1.1\r\nHost: bridge\r\n"
BODY = b"POST /v1/mappings HTTP/1.1\r\nHost: bridge\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"


def read(client: socket.socket) -> bytes:
    """All that arrives until the connection ends."""
    received = b""
    try:
        while chunk := client.recv(65_536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize("part", [b"", HEAD, BODY], ids=["nothing", "half a head", "half a body"])
def test_asvs_2_4_1_a_slow_request_ends_at_its_deadline(
    target: Target, part: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(connection, "BODY_SECONDS", 0.5)
    with target.dial() as client:
        client.sendall(part)
        read(client)


def test_asvs_2_4_1_a_byte_now_and_then_moves_no_deadline(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 1.0)
    over = threading.Event()
    with target.dial() as client:

        def drip() -> None:
            client.sendall(HEAD)
            while not over.wait(0.1):
                try:
                    client.sendall(b"X: y\r\n")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        read(client)
        over.set()
        thread.join()


def test_the_next_request_of_a_connection_has_a_deadline_too(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.5)
    with target.dial() as client:
        client.sendall(HEAD + b"\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 401")
        client.sendall(HEAD)
        read(client)


def test_a_connection_between_two_requests_is_kept(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    client = http.client.HTTPConnection("127.0.0.1", target.port)
    client.connect()
    client.auto_open = 0
    for _ in range(3):
        client.request("GET", "/v1/connectors")
        assert client.getresponse().read()
        threading.Event().wait(0.5)
    client.close()


def test_asvs_2_4_1_an_address_has_a_share_of_the_connections(store: Store) -> None:
    with ExitStack() as held, attacked(store) as target:
        clients = [held.enter_context(target.dial()) for _ in range(connection.ADDRESS_CONNECTIONS + 20)]
        for client in clients[connection.ADDRESS_CONNECTIONS :]:
            assert read(client) == b""
        clients[0].sendall(HEAD + b"\r\n")
        assert clients[0].recv(65_536).startswith(b"HTTP/1.1 401")


def test_a_trusted_proxy_has_no_share_and_its_clients_are_told_apart(store: Store) -> None:
    with ExitStack() as held, attacked(store, proxies=["127.0.0.0/8"]) as target:
        clients = [held.enter_context(target.dial()) for _ in range(connection.ADDRESS_CONNECTIONS + 20)]
        for client in clients:
            client.sendall(HEAD + b"X-Forwarded-For: 192.0.2.7\r\n\r\n")
        first = [client.recv(65_536)[:12] for client in clients]
        assert first.count(b"HTTP/1.1 429"), "strangers of one address have 100 requests at once"
        other = requests.get(f"{target.url}/v1/connectors", headers={"X-Forwarded-For": "192.0.2.8"})
        assert other.status_code == 401


def test_asvs_4_1_3_nobody_else_names_an_address(target: Target) -> None:
    statuses = {
        requests.get(f"{target.url}/v1/connectors", headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code
        for number in range(130)
    }
    assert statuses == {401, 429}


def test_asvs_4_2_1_a_length_in_two_ways_closes_the_connection(target: Target) -> None:
    request = (
        b"POST /v1/mappings HTTP/1.1\r\nHost: bridge\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n"
        b"Content-Type: application/json\r\n\r\n0\r\n\r\nGET /v1/connectors HTTP/1.1\r\nHost: bridge\r\n\r\n"
    )
    with target.dial() as client:
        client.sendall(request)
        answers = read(client)
    assert answers.startswith(b"HTTP/1.1 400")
    assert answers.count(b"HTTP/1.1") == 1
