"""Helpers of the store's tests: a clock to turn, members by number, processes that share a store."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Protocol

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


class People(Protocol):
    """Members `start` to `stop`, in member_key order; `mark` makes their fingerprints differ."""

    def __call__(self, stop: int, start: int = 0, mark: int = 0) -> list[MemberRow]: ...


@pytest.fixture
def people() -> People:

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


class Process(subprocess.Popen[str]):
    """A process that is spoken with by pipes."""

    stdin: IO[str]
    stdout: IO[str]


class Start(Protocol):
    """Run Python source in a process of its own; whatever still runs at the end of the test is killed."""

    def __call__(self, source: str, *arguments: str) -> Process: ...


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Process] = []

    def run(source: str, *arguments: str) -> Process:
        command = [sys.executable, "-c", source, *arguments]
        started.append(Process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()
