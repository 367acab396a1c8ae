"""The HTTP client against a real server on loopback."""

import email.utils
import socket
import time
from collections.abc import Callable

import pytest
import requests
from cdp_bridge import retry
from cdp_bridge.errors import BridgeError, ConfigError, Failure, RejectedError, TransientError
from cdp_bridge.http.client import Client
from cdp_bridge.retry import LONGEST_WAIT

from .scripted import Answer, Server


def failure(server: Server, *answers: Answer | None, act: Callable[[Client], object] | None = None) -> BridgeError:
    server.script = list(answers)
    with Client(server.url, params={"access_token": "hunter2"}) as client, pytest.raises(BridgeError) as caught:
        (act or (lambda c: c.send("GET", "/people/1", params={"q": "ann@example.com"})))(client)
    assert "hunter2" not in str(caught.value)
    assert "ann" not in str(caught.value)
    return caught.value


def test_a_request_carries_what_the_client_was_given(server: Server) -> None:
    with Client(server.url + "/", headers={"X-A": "1"}, params={"k": "v"}, auth=("u", "p")) as client:
        response = client.send("POST", "/x", data=b"\x00raw", params={"q": "1"}, headers={"X-B": "2"})
    method, path, headers, body = server.requests[0]
    assert (response.status_code, method, path, body) == (200, "POST", "/x?k=v&q=1", b"\x00raw")
    assert (headers["X-A"], headers["X-B"], headers["Authorization"]) == ("1", "2", "Basic dTpw")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RejectedError),
        (401, ConfigError),
        (403, ConfigError),
        (404, RejectedError),
        (408, TransientError),
        (422, RejectedError),
        (429, TransientError),
        (500, TransientError),
        (503, TransientError),
        (301, ConfigError),
        (307, ConfigError),
    ],
)
def test_a_status_becomes_a_typed_error(server: Server, status: int, kind: type[BridgeError]) -> None:
    error = failure(server, (status, {"Location": "http://127.0.0.1:1/elsewhere"}, b"secret page"))
    assert type(error) is kind
    assert "127.0.0.1/people/1" in str(error)
    assert len(server.requests) == 1


def test_a_rejection_has_a_short_reason(server: Server) -> None:
    error = failure(server, (404, {}, b""))
    assert isinstance(error, RejectedError)
    assert error.reason == "http:404"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        (" 7 ", 7.0),
        ("-3", 0.0),
        ("1e99", LONGEST_WAIT),
        ("inf", LONGEST_WAIT),
        ("nan", None),
        ("soon", None),
        ("", None),
        (email.utils.formatdate(0, usegmt=True), 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
    ],
)
def test_retry_after(server: Server, header: str, expected: float | None) -> None:
    error = failure(server, (429, {"Retry-After": header}, b""))
    assert isinstance(error, TransientError)
    assert error.retry_after == expected


def test_retry_after_as_a_date_is_the_time_until_then(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    error = failure(server, (503, {"Retry-After": email.utils.formatdate(1_000_060, usegmt=True)}, b""))
    assert isinstance(error, TransientError)
    assert error.retry_after == 60.0


def test_the_connectors_error_table_sees_every_answer(server: Server) -> None:
    def interpret(response: requests.Response) -> Failure | None:
        code = Client.decode(response).get("code")
        return RejectedError("the platform says no", reason=f"x:{code}") if code else None

    server.script = [(200, {}, b'{"code": 100}'), (500, {}, b"{}")]
    with Client(server.url, interpret=interpret) as client:
        with pytest.raises(RejectedError, match="says no"):
            client.send("GET", "/")
        assert client.send("GET", "/").status_code == 500


@pytest.mark.parametrize("answer", [None, (200, {"Content-Length": "100"}, b"cut")], ids=["reset", "cut"])
def test_a_broken_connection_is_transient(server: Server, answer: Answer | None) -> None:
    assert type(failure(server, answer)) is TransientError


def test_a_closed_port_is_transient(server: Server) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with Client(f"http://127.0.0.1:{closed.getsockname()[1]}") as client, pytest.raises(TransientError):
            client.send("GET", "/")


def test_no_trusted_tls_is_for_a_person_to_solve(server: Server) -> None:
    with Client(server.url.replace("http:", "https:")) as client, pytest.raises(ConfigError, match="TLS"):
        client.send("GET", "/")


@pytest.mark.parametrize("url", ["127.0.0.1:1", "ftp://127.0.0.1", "http://", "http://[", "http://exa mple:x"])
def test_an_address_that_is_none_is_for_a_person_to_solve(url: str) -> None:
    with Client(url) as client, pytest.raises(ConfigError):
        client.send("GET", "/")


@pytest.mark.parametrize("value", ["hunter2\nx", "hunter2\N{EM DASH}x"])
def test_a_credential_that_is_no_header_is_not_repeated(server: Server, value: str) -> None:
    with (
        Client(server.url, headers={"Authorization": value}) as client,
        pytest.raises(ConfigError, match=r"credential for .* holds .* Copy it anew") as caught,
    ):
        client.send("GET", "/")
    assert "hunter2" not in str(caught.value)


def test_read_tries_again_while_the_failure_is_transient(server: Server, waits: list[float]) -> None:
    server.script = [(503, {"Retry-After": "7"}, b""), None, (200, {}, b"<html>"), (200, {}, b'{"a": [1]}')]
    with Client(server.url) as client:
        assert client.read("/x") == {"a": [1]}
    assert waits[0] == 7.0
    assert len(waits) == 3


def test_read_gives_up_at_last_and_at_once_where_it_is_no_use(server: Server, waits: list[float]) -> None:
    assert type(failure(server, (500, {}, b""), act=lambda client: client.read("/x"))) is TransientError
    assert len(server.requests) == retry.ATTEMPTS
    server.requests.clear()
    assert type(failure(server, (403, {}, b""), act=lambda client: client.read("/x"))) is ConfigError
    assert len(server.requests) == 1
