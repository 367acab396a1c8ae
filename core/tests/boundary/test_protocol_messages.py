"""Stdout carries whole messages only; logs are redacted; the budget of a lone process."""

import io
import logging
import signal
import threading
from collections.abc import Callable

import pytest
from cdp_bridge.errors import Stopped
from cdp_bridge.model import Limits
from cdp_bridge.protocol.budget import ProcessBudget
from cdp_bridge.protocol.failure import failure_type, sentence
from cdp_bridge.protocol.messages import LogMessages, Output

from .conftest import Told


class Slow:
    """A stream that takes a few bytes at a time, and stops us in the middle of a line."""

    def __init__(self) -> None:
        self.taken = b""
        self.output: Output | None = None

    def write(self, data: memoryview) -> int:
        if self.output is not None and len(self.taken) == 5:
            self.output.stop(signal.SIGTERM)
        self.taken += bytes(data[:5])
        return min(len(data), 5)


def test_a_stop_waits_for_the_end_of_the_line() -> None:
    stream = Slow()
    output = Output(stream)
    stream.output = output
    with pytest.raises(Stopped):
        output.send({"type": "LOG", "text": "x" * 50})
    assert stream.taken.endswith(b'"}\n')
    stream.output = None
    output.send({"type": "TRACE"})
    assert stream.taken.endswith(b'{"type":"TRACE"}\n')


def test_a_stop_between_lines_is_at_once() -> None:
    with pytest.raises(Stopped):
        Output(Slow()).stop(signal.SIGTERM)


def test_lines_of_several_threads_do_not_mix() -> None:
    stream = Slow()
    output = Output(stream)
    letters = "abcd"

    def send(letter: str) -> None:
        for _ in range(20):
            output.send({"x": letter * 40})

    threads = [threading.Thread(target=send, args=(letter,)) for letter in letters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = stream.taken.splitlines()
    assert sorted(lines) == sorted(f'{{"x":"{one * 40}"}}'.encode() for one in letters for _ in range(20))


@pytest.mark.parametrize(
    ("level", "shown"), [(50, "FATAL"), (40, "ERROR"), (30, "WARN"), (20, "INFO"), (10, "DEBUG"), (35, "INFO")]
)
def test_log_lines_are_redacted_messages(level: int, shown: str, told: Callable[[int, bytes], Told]) -> None:
    stream = io.BytesIO()
    error = ValueError("ann@example.com")
    arguments = ("for %s\nand", ("ann@example.com",))
    LogMessages(Output(stream)).emit(logging.LogRecord("x", level, "x.py", 1, *arguments, (ValueError, error, None)))
    (log,) = told(0, stream.getvalue()).of("LOG")
    assert log == {"level": shown, "message": "for <email>\nand"}


def test_a_log_line_that_cannot_be_formatted_is_no_failure(told: Callable[[int, bytes], Told]) -> None:
    stream = io.BytesIO()
    LogMessages(Output(stream)).emit(logging.LogRecord("x", 20, "x.py", 1, "%d", ("x",), None))
    assert told(0, stream.getvalue()).of("LOG") == [{"level": "INFO", "message": "%d"}]


def test_an_unexpected_error_says_where_and_not_what() -> None:
    with pytest.raises(KeyError) as caught:
        raise KeyError("ann@example.com")
    assert sentence(caught.value).startswith("bug: KeyError at test_protocol_messages.py:")
    assert "ann" not in sentence(caught.value)
    assert failure_type(caught.value) == "system_error"


def test_the_budget_makes_us_wait_for_the_window_and_for_pauses() -> None:
    now = [100.0]
    budget = ProcessBudget(lambda: now[0])
    limits = Limits(requests=2, seconds=60)
    assert [budget.take("a", limits) for _ in range(3)] == [0.0, 0.0, 60.0]
    assert budget.take("b", limits) == 0.0
    now[0] = 160.0
    assert budget.take("a", limits) == 0.0
    budget.pause("b", 10)
    budget.pause("b", 5)
    assert budget.take("b", limits) == 10.0
    assert budget.take("c", Limits()) == 0.0
