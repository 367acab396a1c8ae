"""The error table: which row a code finds, what is in none, and what the error says."""

import json
from typing import Any

import pytest
import requests
from cdp_bridge.errors import BridgeError, ConfigError, Failure, RejectedError, TransientError
from cdp_bridge.http.client import Client
from cdp_bridge.http.error_table import ErrorRule, ErrorTable

from .scripted import Server


class DeadTokenError(ConfigError):
    """One that a connector tells from others."""


ERRORS = ErrorTable(
    "Acme",
    {
        4: ErrorRule(TransientError, "the rate limit is reached", wait=60),
        100: ErrorRule(RejectedError, "Acme refuses the request"),
        (100, 33): ErrorRule(ConfigError, "there is no such list", "Check the id"),
        190: ErrorRule(DeadTokenError, "the token is dead", "Make a new one", place="settings.token"),
        "NOT_FOUND": ErrorRule(ConfigError, "it does not exist", "Check the path"),
    },
)


def interpret(response: requests.Response) -> Failure | None:
    body = ERRORS.body(response)
    if body is None:
        return Client.by_status(response)
    return ERRORS.error(response, trace="t-1", **body) if "code" in body else None


def error(
    server: Server, status: int, body: Any, *, headers: dict[str, str] | None = None, table: ErrorTable = ERRORS
) -> Any:
    server.script = [(status, headers or {}, json.dumps(body).encode())]
    with Client(server.url, interpret=interpret) as client, pytest.raises(BridgeError) as caught:
        client.send("POST", "/lists/1", params={"q": "ann@example.com"})
    assert "ann" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("status", [200, 400, 503])
def test_a_row_decides_whatever_the_status(server: Server, status: int) -> None:
    refusal = error(server, status, {"code": 100})
    assert (type(refusal), str(refusal)) == (RejectedError, "Acme refuses the request (Acme's error 100, request t-1)")
    assert refusal.reason == "acme:100"


def test_a_subcode_has_a_row_or_that_of_its_code(server: Server) -> None:
    gone = error(server, 400, {"code": 100, "subcode": 33})
    assert (type(gone), gone.place, gone.remedy) == (ConfigError, "/lists/1", "Check the id")
    assert "Acme's error 100/33" in gone.problem
    assert error(server, 400, {"code": 100, "subcode": 7}).reason == "acme:100/7"


def test_a_row_may_have_an_error_and_a_place_of_its_own(server: Server) -> None:
    dead = error(server, 400, {"code": 190})
    assert (type(dead), dead.place, dead.remedy) == (DeadTokenError, "settings.token", "Make a new one")
    assert isinstance(error(server, 404, {"code": "NOT_FOUND"}), ConfigError)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, RejectedError), (400, RejectedError), (403, RejectedError)]
    + [(status, TransientError) for status in (408, 429, 500, 503)],
)
def test_what_is_in_no_row_is_refused_or_tried_again(server: Server, status: int, kind: type[BridgeError]) -> None:
    unknown = error(server, status, {"code": 4711})
    assert type(unknown) is kind
    assert "Acme's error 4711" in str(unknown)
    assert ("not in its documentation" in str(unknown)) == (kind is RejectedError)


def test_a_wait_is_that_of_the_call_the_header_or_the_row(server: Server) -> None:
    header = {"Retry-After": "7"}
    assert error(server, 400, {"code": 4}).retry_after == 60
    assert error(server, 400, {"code": 4}, headers=header).retry_after == 7
    assert error(server, 400, {"code": 4, "wait": 5}, headers=header).retry_after == 5
    assert error(server, 503, {"code": 4711}).retry_after is None


def test_a_connector_may_name_the_row_and_what_is_in_none(server: Server) -> None:
    busy, unknown = ErrorRule(TransientError, "Acme is down"), ErrorRule(ConfigError, "ask Acme", "Write to them")
    table = ErrorTable("Acme", {}, busy=busy, unknown=unknown, trace="trace")
    assert (table.rule(500, 1), table.rule(400, 1, 2)) == (busy, unknown)
    server.script = [(400, {}, b"{}")]
    with Client(server.url, interpret=lambda response: table.error(response, 1, rule=busy, trace="x")) as client:
        with pytest.raises(TransientError) as caught:
            client.send("GET", "/")
        assert str(caught.value) == "Acme is down (Acme's error 1, trace x)"


def test_a_hostile_trace_is_cut(server: Server) -> None:
    server.script = [(400, {}, b"{}")]
    trace = "<jane@example.com>" * 9
    with (
        Client(server.url, interpret=lambda response: ERRORS.error(response, 100, trace=trace)) as client,
        pytest.raises(RejectedError) as caught,
    ):
        client.send("GET", "/")
    assert not set("<@>") & set(str(caught.value))
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 100_000, b"null"])
def test_what_is_no_json_is_no_body(server: Server, body: bytes) -> None:
    server.script = [(502, {}, body)]
    with Client(server.url, interpret=interpret) as client, pytest.raises(TransientError, match="answered 502"):
        client.send("GET", "/")
