"""Measures the same work by others: airbyte-cdk, singer-sdk, and one plain loop."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .process import Command, Measure, medians, run

ROOT = Path(__file__).parents[2]
SAMPLE = 2_000
"""People whose payloads are compared, hash by hash: whoever computes something else is no peer."""


class Peer(NamedTuple):
    """Who it is, how many times as fast we must be, and its commands for one file of people in a scratch folder."""

    name: str
    times: float
    commands: Callable[[Path, Path], list[Command]]

    def run(self, people: Path, folder: Path, *, keep: Path | None = None) -> Measure:
        """One run; `keep` gets its payloads."""
        commands = self.commands(people, folder)
        return run(*commands, reports=len(commands), keep=keep)

    def rate(self, members: int, people: Path, folder: Path, times: int) -> tuple[float, Measure]:
        """Members per second from first read to last payload; RuntimeError if it loses somebody."""
        measure = medians(times, lambda: self.run(people, folder))
        if measure.reports[-1]["members"] != members:
            raise RuntimeError(f"{self.name} delivered {measure.reports[-1]['members']} of {members} members")
        return members / measure.inside, measure


def differing(ours: Path, theirs: Path) -> int:
    """How many rows of payload only one of the two has."""
    return len(_rows(ours) ^ _rows(theirs))


def _rows(kept: Path) -> set[tuple[str, ...]]:
    rows: set[tuple[str, ...]] = set()
    for line in kept.read_text().splitlines():
        payload = json.loads(line)
        rows |= {
            tuple(f"{key}={cell}" for key, cell in zip(payload["schema"], row, strict=True)) for row in payload["data"]
        }
    return rows


def _loop(phones: str) -> Callable[[Path, Path], list[Command]]:
    return lambda people, _: [[sys.executable, "-m", "tests.bench.peers.plain_loop", people, phones]]


def _airbyte(people: Path, folder: Path) -> list[Command]:
    stream = {"name": "people", "json_schema": {"type": "object"}, "supported_sync_modes": ["full_refresh"]}
    catalog = {"streams": [{"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"}]}
    config = ["--config", _file(folder, "config.json", {"path": str(people)})]
    config += ["--catalog", _file(folder, "catalog.json", catalog)]
    python = (_environment("peer-airbyte"), "-m")
    return [
        [*python, "tests.bench.peers.airbyte_source", "read", *config],
        [*python, "tests.bench.peers.airbyte_destination", "write", *config],
    ]


def _singer(people: Path, folder: Path) -> list[Command]:
    python = (_environment("peer-singer"), "-m")
    return [
        [*python, "tests.bench.peers.singer_tap", "--config", _file(folder, "tap.json", {"path": str(people)})],
        [*python, "tests.bench.peers.singer_target", "--config", _file(folder, "target.json", {})],
    ]


@cache
def _environment(name: str) -> str:
    """The Python of a peer's own environment, made on first use."""
    made = subprocess.run(
        ["bash", "-c", f"source scripts/environment.sh && tool_environment {name}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if made.returncode:
        raise RuntimeError(f"the environment {name} cannot be made:\n{made.stdout}")
    return str(ROOT / ".cache" / name / "bin" / "python")


def _file(folder: Path, name: str, content: object) -> str:
    path = folder / name
    path.write_text(json.dumps(content))
    return str(path)


PEERS = (
    Peer("airbyte-cdk source | destination", 4, _airbyte),
    Peer("singer-sdk tap | target", 10, _singer),
    Peer("plain Python loop, hashlib, phonenumbers", 1, _loop("phonenumbers")),
    Peer("plain Python loop, hashlib, phones only stripped", 1, _loop("digits")),
)
