"""Airbyte connectors of our own making that say what a test tells them, and real ones of others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest
from airbyte_connectors.settings import DestinationSettings, SourceSettings
from cdp_bridge import settings as checked

from .lines import SPEC, STATUS, Json, offers, users

ROOT = Path(__file__).parents[3]
SAYS = Path(__file__).with_name("says.py")
Lines = Sequence[Json | str]


class LoadSource(Protocol):
    """Settings of a source that says what it is told to, by command; other settings are `more`."""

    def __call__(self, more: Json | None = None, **says: Lines) -> SourceSettings: ...


class LoadDestination(Protocol):
    """The same for a destination."""

    def __call__(self, more: Json | None = None, **says: Lines) -> DestinationSettings: ...


def pytest_configure(config: pytest.Config) -> None:
    """The mark of tests that need connectors from the package index."""
    config.addinivalue_line("markers", "airbyte: runs Airbyte connectors that nobody here wrote")


DEFAULTS: dict[str, Lines] = {"spec": [SPEC], "check": [STATUS], "discover": [offers(users())]}


class Scripted(NamedTuple):
    """A program that says what it was told to, and notes what it was given."""

    path: Path

    def given(self) -> list[Json]:
        """Each call so far: arguments, environment, files by option, and their modes."""
        notes = self.path.with_suffix(".given")
        return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []


class MakeScripted(Protocol):
    """A connector that prints these lines for each command."""

    def __call__(self, **says: Lines) -> Scripted: ...


@pytest.fixture
def scripted(tmp_path: Path) -> MakeScripted:
    """A connector that prints these lines for each command; a line `!...` is Python that it runs instead."""

    def make(**says: Lines) -> Scripted:
        path = tmp_path / "source-scripted"
        path.with_suffix(".json").write_text(json.dumps(DEFAULTS | says))
        path.write_text(f"#!{sys.executable} -IS\n{SAYS.read_text()}")
        path.chmod(0o700)
        return Scripted(path)

    return make


@pytest.fixture
def source(scripted: MakeScripted) -> LoadSource:
    """Settings of a source that says what it is told to, by command; other settings are `more`."""

    def load(more: Json | None = None, **says: Lines) -> SourceSettings:
        connector = {"type": "executable", "command": str(scripted(**says).path)}
        return checked.load(SourceSettings, {"connector": connector} | (more or {}))

    return load


@pytest.fixture
def destination(scripted: MakeScripted) -> LoadDestination:
    """The same for a destination."""

    def load(more: Json | None = None, **says: Lines) -> DestinationSettings:
        connector = {"type": "executable", "command": str(scripted(**says).path)}
        return checked.load(DestinationSettings, {"connector": connector} | (more or {}))

    return load


@pytest.fixture
def given(tmp_path: Path) -> Callable[[], list[Json]]:
    """What the scripted connector was given, call by call."""
    return Scripted(tmp_path / "source-scripted").given


@pytest.fixture(scope="session")
def others() -> Path:
    """The folder of the executables of connectors from the package index; set up on first use."""
    command = ["bash", "-c", "source scripts/environment.sh && tool_environment airbyte-connectors"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"the connectors' environment cannot be set up:\n{done.stdout}{done.stderr}"
    return ROOT / ".cache" / "airbyte-connectors" / "bin"
