"""Hosts that do not answer: what is said of them, and when they are given up. Seconds are made short."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from cdp_bridge import retry
from cdp_bridge.connectors.transport.wire import Raised
from cdp_bridge.errors import TransientError
from cdp_bridge.http import client as http_client
from cdp_bridge.http.client import Client

TIME = r"\d\d:\d\d:\d\d"


@pytest.fixture
def silent() -> Iterator[str]:
    """A host that takes every connection and answers none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    """A host with a closed port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    return made


class Clock:
    """Goes on only while something sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_request_that_takes_long_is_told_once_with_host_try_and_end(
    silent: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retry, "SAID_AFTER", 0.1)
    monkeypatch.setattr(retry, "PATIENCE", 0.6)
    monkeypatch.setattr(http_client, "READ_TIMEOUT", 0.4)
    monkeypatch.setattr(http_client, "LEAST_TIMEOUT", 0.01)
    started = time.monotonic()
    with Client(silent) as client, pytest.raises(TransientError, match="failed: ReadTimeout"):
        client.read("/people")
    assert time.monotonic() - started < 10
    host = re.escape(silent.removeprefix("http://"))
    told = [text for text in caplog.messages if text.startswith("waiting for")]
    assert re.fullmatch(rf"waiting for {host} \(attempt 1, gives up at {TIME}\)", told[0])
    assert len(told) == len({text.split(",")[0] for text in told})
    assert {record.thread for record in caplog.records} == {threading.get_ident()}


def test_a_quick_answer_is_not_told_of(closed: str, caplog: pytest.LogCaptureFixture) -> None:
    with Client(closed) as client, pytest.raises(TransientError, match="connection refused"):
        client.call("GET", "/")
    assert caplog.messages == []


def test_a_check_has_less_time_than_a_run(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started = time.monotonic()
    with retry.time_limit(1.0), Client(silent) as client, pytest.raises(TransientError):
        client.read("/people")
    assert time.monotonic() - started < http_client.READ_TIMEOUT / 2


def down() -> None:
    raise TransientError("GET graph.example.test/me failed: connection refused")


def test_tries_are_told_of_after_ten_seconds_of_silence_and_not_more_often(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[float] = []

    def sleep(seconds: float) -> None:
        told.extend([clock.now - 1_000] * (len(caplog.messages) - len(told)))
        clock.sleep(seconds)

    with pytest.raises(TransientError) as caught:
        retry.retrying(sleep=sleep)(down)
    assert caught.value.given_up
    assert all(re.search(rf"graph.example.test.*; trying again at {TIME} \(attempt", text) for text in caplog.messages)
    assert all(re.search(rf"gives up at {TIME}\)$", text) for text in caplog.messages)
    assert 2 <= len(told) <= 4
    assert told[0] <= retry.SAID_AFTER
    assert clock.now - 1_000 < retry.PATIENCE


def test_calls_inside_of_calls_do_not_multiply_their_tries(clock: Clock) -> None:
    made: list[float] = []

    def fail() -> None:
        made.append(clock.now)
        down()

    with pytest.raises(TransientError):
        retry.retrying(sleep=clock.sleep)(lambda: retry.retrying(sleep=clock.sleep)(fail))
    assert len(made) <= retry.ATTEMPTS
    assert clock.now - 1_000 < retry.PATIENCE


def test_what_was_given_up_in_another_process_is_not_tried_again() -> None:
    error = TransientError("down")
    error.given_up = True
    back = Raised.of(error).error("destination-x")
    assert isinstance(back, TransientError)
    assert back.given_up


def test_slow_tries_end_in_time_even_if_there_are_more_of_them(clock: Clock) -> None:
    made: list[float] = []

    def time_out() -> None:
        made.append(clock.now)
        clock.sleep(min(60.0, retry.time_left()))
        down()

    with pytest.raises(TransientError):
        retry.retrying(sleep=clock.sleep)(time_out)
    assert len(made) == 2
    assert clock.now - 1_000 <= retry.PATIENCE


def test_waits_that_the_platform_asks_for_are_granted_and_told_of(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    answers = iter([900.0, 900.0])

    def busy() -> int:
        if (wait := next(answers, None)) is not None:
            raise TransientError("graph.example.test answered 429", retry_after=wait)
        return 1

    assert retry.retrying(sleep=clock.sleep)(busy) == 1
    assert clock.now == 2_800
    assert [text.rpartition(", ")[2] for text in caplog.messages] == ["as it asks for)"] * 2


def test_a_check_does_not_wait_however_long_it_is_asked_to(clock: Clock) -> None:
    def busy() -> None:
        raise TransientError("answered 429", retry_after=900.0)

    with retry.time_limit(30), pytest.raises(TransientError):
        retry.retrying(sleep=clock.sleep)(busy)
    assert clock.now == 1_000
