"""PyAirbyte in an environment of its own, the twins of both vendors, and our executables with settings for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sandbox
from sandbox.people import generate
from sandbox.person import Person

ROOT = Path(__file__).parents[2]
EXECUTABLES = Path(sys.executable).parent
PEOPLE, SEED, AUDIENCE = 300, 1, "vip_eu"
TOKEN = "sandbox-papi-token"
Pair = tuple[dict[str, Any], dict[str, Any]]
# Whoever starts so many processes keeps what Python compiles, outside the source tree.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
    "PYTHONPYCACHEPREFIX": str(ROOT / ".cache" / "bytecode")
}


class Ended(NamedTuple):
    """A command of PyAirbyte that has ended: exit code, its stdout and stderr, and what each connector logged."""

    code: int
    out: str
    err: str
    logs: dict[str, str]


@pytest.fixture(scope="session")
def airbyte() -> Path:
    """The folder of the executables of PyAirbyte and airbyte-cdk; set up on first use."""
    command = ["bash", "-c", "source scripts/environment.sh && tool_environment airbyte"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"PyAirbyte's environment cannot be set up:\n{done.stdout}{done.stderr}"
    return ROOT / ".cache" / "airbyte" / "bin"


@pytest.fixture(scope="session")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sandbox.Sandbox]:
    """A Segment space with people, its warehouse, and a Meta ad account."""
    file = tmp_path_factory.mktemp("warehouse") / "segment.duckdb"
    with sandbox.running(people=PEOPLE, seed=SEED, warehouse=f"duckdb:///{file}") as box:
        yield box


@pytest.fixture
def people() -> Sequence[Person]:
    """Who is in the audience that `settings` reads."""
    return list(generate(PEOPLE, SEED).members(AUDIENCE))


@pytest.fixture
def settings(twins: sandbox.Sandbox, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Settings of every connector, by its name."""
    people = tmp_path / "people.csv"
    people.write_text("user_id,email,city\n1,ann@example.com,Rome\n2,bob@example.com,\n")
    return {
        "source-segment": {
            "public_api_token": TOKEN,
            "base_url": twins.segment,
            "warehouse": {"url": twins.warehouse},
            "audiences": [AUDIENCE],
        },
        "source-file": {"path": str(people), "id_column": "user_id"},
        "destination-meta": {"access_token": "sandbox-token", "ad_account_id": "1001", "base_url": twins.meta},
        "destination-file": {"path": str(tmp_path / "out")},
    }


@pytest.fixture
def configs(settings: dict[str, dict[str, Any]], tmp_path: Path) -> dict[str, Path]:
    """The same as files."""
    paths = {name: tmp_path / f"{name}.json" for name in settings}
    for name, path in paths.items():
        path.write_text(json.dumps(settings[name]))
    return paths


@pytest.fixture
def executable() -> Callable[[str], Path]:
    """Where a connector's executable is."""
    return lambda name: EXECUTABLES / name


@pytest.fixture
def run(executable: Callable[[str], Path]) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run a connector's executable."""

    def start(name: str, *arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [str(executable(name)), *map(str, arguments)]
        return subprocess.run(command, input=stdin, capture_output=True, env=ENVIRONMENT, check=False)

    return start


@pytest.fixture
def pyab(airbyte: Path, tmp_path: Path) -> Callable[..., Ended]:
    """Run a command of PyAirbyte without registry, telemetry or access to the home folder."""
    logs = tmp_path / "logs"
    environment = ENVIRONMENT | {
        # It finds its own test source by name.
        "PATH": f"{airbyte}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "AIRBYTE_OFFLINE_MODE": "1",
        "DO_NOT_TRACK": "1",
        "AIRBYTE_PROJECT_DIR": str(tmp_path),
        "AIRBYTE_LOGGING_ROOT": str(logs),
        "NO_LIVE_PROGRESS": "1",
    }

    def run(*arguments: str | Path) -> Ended:
        done = subprocess.run(
            [airbyte / "pyab", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        logged: dict[str, str] = {}
        for path in sorted(logs.glob("*-*/*-log-*.log")):
            logged[path.parent.name] = logged.get(path.parent.name, "") + path.read_text()
        return Ended(done.returncode, done.stdout, done.stderr, logged)

    return run


@pytest.fixture
def parsed(airbyte: Path) -> Callable[[bytes], Sequence[Pair]]:
    """What airbyte-cdk's serializers and PyAirbyte's types make of protocol lines."""

    def parse(lines: bytes) -> Sequence[Pair]:
        driver = [str(airbyte / "python"), "-W", "ignore", str(Path(__file__).with_name("parse_lines.py"))]
        done = subprocess.run(driver, input=lines, capture_output=True, env=ENVIRONMENT, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return [json.loads(line) for line in done.stdout.splitlines()]

    return parse
