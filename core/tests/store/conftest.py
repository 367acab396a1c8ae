"""Helpers of the store's tests: a clock to turn, members by number, processes that share a store."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cdp_bridge.store import MemberRow

AT = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)


class Clock:
    """Seconds since 1970 that only the test moves."""

    def __init__(self) -> None:
        self.now = AT.timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def at() -> datetime:
    return AT


@pytest.fixture
def people() -> Callable[..., list[MemberRow]]:
    """Members `start` to `stop`, in member_key order; `mark` makes their fingerprints differ."""

    def make(stop: int, start: int = 0, mark: int = 0) -> list[MemberRow]:
        return [
            (
                number.to_bytes(16, "big"),
                bytes([mark]) + number.to_bytes(15, "big"),
                f"user-{number}",
                b"%x" % number * 30,
            )
            for number in range(start, stop)
        ]

    return make


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Run Python source in a process of its own (arguments follow); whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(source: str, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", source, *arguments]
        started.append(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()
