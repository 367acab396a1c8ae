"""Access tokens: fetched late, renewed before their end and after a 401, and never shown."""

import time
from urllib.parse import parse_qs

import pytest
from cdp_bridge.errors import BridgeError, ConfigError, TransientError
from cdp_bridge.http.client import Client
from cdp_bridge.http.tokens import Token
from cdp_bridge.secrets import Secret

from .scripted import Answer, Server

FIELDS = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "hunter2-hunter2"}


class Tokens:
    """Gives numbered tokens, and counts them."""

    def __init__(self, expires_in: float | None = None) -> None:
        self.given = 0
        self.expires_in = expires_in

    def __call__(self) -> Token:
        self.given += 1
        return Token(value=Secret(f"token-number-{self.given}"), expires_in=self.expires_in)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that passes only as a test says."""
    moment = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: moment[0])
    return moment


def sent(server: Server) -> list[str]:
    return [headers.get("Authorization", "") for _, _, headers, _ in server.requests]


def test_a_token_is_fetched_with_the_first_request_and_serves_all(server: Server) -> None:
    tokens = Tokens()
    with Client(server.url, token=tokens) as client:
        assert tokens.given == 0
        client.read("/a")
        client.call("POST", "/b", headers={"X-B": "2"})
    assert (tokens.given, sent(server)) == (1, ["Bearer token-number-1"] * 2)
    assert server.requests[1][2]["X-B"] == "2"


@pytest.mark.parametrize(("expires_in", "good_for"), [(1_800.0, 1_740.0), (100.0, 50.0), (None, 1e9)])
def test_a_token_is_renewed_before_it_ends(
    server: Server, now: list[float], expires_in: float | None, good_for: float
) -> None:
    tokens = Tokens(expires_in)
    with Client(server.url, token=tokens) as client:
        client.read("/a")
        now[0] += good_for - 1
        client.read("/a")
        assert tokens.given == 1
        now[0] += 1
        client.read("/a")
    assert tokens.given == (1 if expires_in is None else 2)


def test_a_refused_token_is_renewed_once_and_the_request_sent_again(server: Server) -> None:
    server.script = [(401, {}, b""), (200, {}, b'{"a": 1}'), (200, {}, b"{}")]
    tokens = Tokens()
    with Client(server.url, token=tokens) as client:
        assert client.call("POST", "/a", data=b"rows") == {"a": 1}
        client.call("POST", "/a")
    assert sent(server) == ["Bearer token-number-1", "Bearer token-number-2", "Bearer token-number-2"]
    assert [body for _, _, _, body in server.requests[:2]] == [b"rows", b"rows"]


def test_a_second_refusal_is_an_error(server: Server) -> None:
    server.script = [(401, {}, b"")]
    tokens = Tokens()
    with Client(server.url, token=tokens) as client, pytest.raises(ConfigError):
        client.read("/a")
    assert (tokens.given, len(server.requests)) == (2, 2)


def test_without_a_token_a_401_is_an_error_at_once(server: Server) -> None:
    server.script = [(401, {}, b"")]
    with Client(server.url) as client, pytest.raises(ConfigError):
        client.call("GET", "/a")
    assert len(server.requests) == 1


@pytest.mark.parametrize("as_json", [False, True])
def test_a_grant_is_a_form_or_json(server: Server, as_json: bool) -> None:
    server.script = [(200, {}, b'{"access_token": "fresh-token-1", "expires_in": "28800", "token_type": "Bearer"}')]
    token = Token.fetch(f"{server.url}/oauth/token", FIELDS, as_json=as_json)
    assert (token.value.reveal(), token.expires_in) == ("fresh-token-1", 28_800)
    assert "fresh" not in repr(token)
    method, path, headers, body = server.requests[0]
    assert (method, path) == ("POST", "/oauth/token")
    if as_json:
        assert (headers["Content-Type"], body[:1]) == ("application/json", b"{")
    else:
        assert parse_qs(body.decode()) == {name: [value] for name, value in FIELDS.items()}


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        ((400, {}, b'{"error": "invalid_grant"}'), ConfigError, "invalid_grant.*Connect the account again"),
        ((401, {}, b'{"error": "invalid_client"}'), ConfigError, "invalid_client.*Check client_id"),
        ((401, {}, b'{"error": "access_denied"}'), ConfigError, "access_denied.*Check client_id"),
        ((403, {}, b'{"error": {"code": 7}}'), ConfigError, "status 403.*Check the credentials"),
        ((400, {}, b'{"error": "hunter2-hunter2"}'), ConfigError, "status 400.*Check the credentials"),
        ((400, {}, b"<html>"), ConfigError, "status 400"),
        ((200, {}, b"{}"), TransientError, "field `access_token`"),
        ((200, {}, b"<html>"), TransientError, "not JSON"),
        ((503, {}, b""), TransientError, "503"),
        ((302, {"Location": "/"}, b""), ConfigError, "redirect"),
        (None, TransientError, "failed"),
    ],
)
def test_an_endpoint_that_gives_no_token(
    server: Server, answer: Answer | None, kind: type[BridgeError], said: str
) -> None:
    server.script = [answer]
    with pytest.raises(kind, match=said) as caught:
        Token.fetch(f"{server.url}/token", FIELDS)
    assert "hunter2" not in str(caught.value)
