"""Answers as typed values: what fits, and what is said of what does not."""

from typing import Literal

import pytest
from cdp_bridge.errors import TransientError
from cdp_bridge.http.client import Client
from msgspec import Struct

from .scripted import Server


class Row(Struct, rename="camel"):
    row_id: str
    size: int = 0


class Rows(Struct):
    rows: list[Row]


GOOD = b'{"rows": [{"rowId": "a", "size": "7", "more": 1}]}'


def test_an_answer_is_a_value_of_its_type_and_numbers_may_be_text(server: Server) -> None:
    server.script = [(200, {}, GOOD)]
    with Client(server.url) as client:
        assert client.read("/x", type=Rows) == Rows([Row("a", 7)])
        assert client.call("POST", "/x", type=Rows) == Rows([Row("a", 7)])
        assert Client.decode(client.send("GET", "/x"), type=dict[str, list[Row]]) == {"rows": [Row("a", 7)]}
        assert client.read("/x")["rows"][0]["more"] == 1


@pytest.mark.parametrize(
    ("body", "difference"),
    [
        (b'{"rows": [{"size": 1}]}', "(Object missing required field `rowId` at $.rows[0])"),
        (b'{"rows": [{"rowId": 7}]}', "(Expected `str`, got `int` at $.rows[0].rowId)"),
        (b'{"rows": "ann@example.com"}', "(Expected `array`, got `str` at $.rows)"),
        (b"[]", "(Expected `object`, got `array` at $)"),
        (b"null", "(Expected `object`, got `null` at $)"),
    ],
)
def test_another_shape_is_named_by_its_place(server: Server, body: bytes, difference: str) -> None:
    server.script = [(200, {}, body)]
    with Client(server.url) as client, pytest.raises(TransientError) as caught:
        client.call("GET", "/people/1", type=Rows)
    assert str(caught.value) == f"127.0.0.1/people/1 answered with JSON of an unexpected shape {difference}"


class Choice(Struct):
    kind: Literal["good"]


@pytest.mark.parametrize("value", [b'"ann@example.com"', b'"Expected `x`, got `ann`"', b'"ann` - at `$"', b'"ann"'])
def test_no_value_is_quoted(server: Server, value: bytes) -> None:
    server.script = [(200, {}, b'{"kind": ' + value + b"}")]
    with Client(server.url) as client, pytest.raises(TransientError, match="unexpected shape") as caught:
        client.call("GET", "/x", type=Choice)
    assert "ann" not in str(caught.value)


def test_a_read_asks_no_second_time_for_another_shape(server: Server, waits: list[float]) -> None:
    server.script = [(200, {}, b"{}"), (200, {}, GOOD)]
    with Client(server.url) as client, pytest.raises(TransientError, match="unexpected shape"):
        client.read("/x", type=Rows)
    assert (len(server.requests), waits) == (1, [])


def test_deep_nesting_is_no_json(server: Server) -> None:
    server.script = [(200, {}, b"[" * 100_000)]
    with Client(server.url) as client, pytest.raises(TransientError, match="not JSON"):
        client.call("GET", "/x")
