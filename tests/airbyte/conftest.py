"""Airbyte's programs in an environment of their own, the twins of the vendors, and our executables to be driven."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sandbox
from sandbox.people import generate
from sandbox.person import Person
from sandbox.trial import Controlled

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
EXECUTABLES = Path(sys.executable).parent
PEOPLE, SEED, AUDIENCE = 300, 1, "vip_eu"
Json = dict[str, Any]
Pair = tuple[Json, Json]
# Whoever starts so many processes keeps what Python compiles, outside the source tree.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
    "PYTHONPYCACHEPREFIX": str(ROOT / ".cache" / "bytecode")
}


class Trial(NamedTuple):
    """How a connector is tried: settings for the twins and a folder, and what spoils them so that `check` fails."""

    settings: Callable[[sandbox.Sandbox, Path], Json]
    spoilt: Json


NO_FOLDER = {"path": "/dev/null/out"}
MISTYPED = "mistyped-token-1"
"""With a digit, since airbyte-cdk looks for no other secrets in what a connector prints."""


def around(name: str, config: Json) -> Json:
    """Settings of a connector that runs another one of ours as if it were Airbyte's."""
    return {"connector": {"type": "executable", "command": str(EXECUTABLES / name)}, "config": config}


TRIALS = {
    "source-segment": Trial(
        lambda twins, folder: {
            "public_api_token": "sandbox-papi-token",
            "base_url": twins.segment,
            "warehouse": {"url": twins.warehouse},
            "audiences": [AUDIENCE],
        },
        {"public_api_token": MISTYPED},
    ),
    "source-file": Trial(lambda twins, folder: {"path": str(folder / "people.csv"), "id_column": "user_id"}, NO_FOLDER),
    "destination-meta": Trial(
        lambda twins, folder: {"access_token": "sandbox-token", "ad_account_id": "1001", "base_url": twins.meta},
        {"access_token": MISTYPED},
    ),
    "destination-tiktok": Trial(
        lambda twins, folder: {
            "access_token": "sandbox-token",
            "advertiser_id": "7000000000000000001",
            "base_url": twins.tiktok,
        },
        {"access_token": MISTYPED},
    ),
    "destination-google": Trial(
        lambda twins, folder: {
            "credentials": {"type": "access_token", "access_token": "sandbox-token"},
            "operating_account": {"account_id": "1234567890"},
            "customer_match_terms": True,
            "base_url": twins.google,
        },
        {"credentials": {"type": "access_token", "access_token": MISTYPED}},
    ),
    "destination-file": Trial(lambda twins, folder: {"path": str(folder / "out")}, NO_FOLDER),
    "destination-chaos": Trial(lambda twins, folder: {"path": str(folder / "chaos")}, NO_FOLDER),
    "source-airbyte": Trial(
        lambda twins, folder: around("source-file", {"path": str(folder / "people.csv"), "id_column": "user_id"}),
        {"config": NO_FOLDER},
    ),
    "destination-airbyte": Trial(
        lambda twins, folder: around("destination-file", {"path": str(folder / "around")}), {"config": NO_FOLDER}
    ),
}
"""Every connector of ours; another one is one entry more."""


class Ready(NamedTuple):
    """A connector that can be driven: executable, settings, and files of good and of spoilt settings."""

    name: str
    executable: Path
    settings: Json
    config: Path
    spoilt: Path


class Ended(NamedTuple):
    """A program of Airbyte that has ended: exit code, its stdout and stderr, and what each connector logged."""

    code: int
    out: str
    err: str
    logs: dict[str, str]


@pytest.fixture(scope="session")
def airbyte() -> Path:
    """The Python of PyAirbyte and airbyte-cdk; set up on first use."""
    command = ["bash", "-c", "source scripts/environment.sh && tool_environment airbyte"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"PyAirbyte's environment cannot be set up:\n{done.stdout}{done.stderr}"
    return ROOT / ".cache" / "airbyte" / "bin" / "python"


@pytest.fixture(scope="session")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sandbox.Sandbox]:
    """A Segment space with people, its warehouse, and an account at each ad platform."""
    file = tmp_path_factory.mktemp("warehouse") / "segment.duckdb"
    with sandbox.running(people=PEOPLE, seed=SEED, warehouse=f"duckdb:///{file}") as box:
        # An executable waits for the last word on what it sent, which Google says half an hour later.
        Controlled(box.google).configure(processing=0)
        yield box


@pytest.fixture
def people() -> Sequence[Person]:
    """Who is in the audience that source-segment reads."""
    return list(generate(PEOPLE, SEED).members(AUDIENCE))


@pytest.fixture
def ready(twins: sandbox.Sandbox, tmp_path: Path) -> Callable[[str], Ready]:
    """A connector by its name, made ready."""
    (tmp_path / "people.csv").write_text("user_id,email,city\n1,ann@example.com,Rome\n2,bob@example.com,\n")

    def make(name: str) -> Ready:
        settings = TRIALS[name].settings(twins, tmp_path)
        config, spoilt = tmp_path / f"{name}.json", tmp_path / f"{name}-spoilt.json"
        config.write_text(json.dumps(settings))
        spoilt.write_text(json.dumps(settings | TRIALS[name].spoilt))
        return Ready(name, EXECUTABLES / name, settings, config, spoilt)

    return make


@pytest.fixture
def trials() -> Sequence[str]:
    """The names of all connectors."""
    return list(TRIALS)


@pytest.fixture(params=TRIALS)
def connector(request: pytest.FixtureRequest, ready: Callable[[str], Ready]) -> Ready:
    return ready(request.param)


@pytest.fixture(params=[name for name in TRIALS if name.startswith("source-")])
def source(request: pytest.FixtureRequest, ready: Callable[[str], Ready]) -> Ready:
    return ready(request.param)


@pytest.fixture(params=[name for name in TRIALS if name.startswith("destination-")])
def destination(request: pytest.FixtureRequest, ready: Callable[[str], Ready]) -> Ready:
    return ready(request.param)


@pytest.fixture
def run() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run a connector's executable."""

    def start(connector: Ready, *arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [connector.executable, *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, env=ENVIRONMENT, check=False)

    return start


@pytest.fixture(scope="session")
def home(airbyte: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Airbyte's programs, as executables in a folder `bin` that need no start, without registry or telemetry."""
    home = tmp_path_factory.mktemp("airbyte")
    (home / "bin").mkdir()
    environment = ENVIRONMENT | {
        # PyAirbyte finds its own test source by name.
        "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "TMPDIR": str(home),
        "AIRBYTE_OFFLINE_MODE": "1",
        "DO_NOT_TRACK": "1",
        "AIRBYTE_PROJECT_DIR": str(home),
        "AIRBYTE_LOGGING_ROOT": str(home / "logs"),
        "NO_LIVE_PROGRESS": "1",
    }
    # The name of a socket must be shorter than a test's folder may be.
    with tempfile.TemporaryDirectory() as folder:
        command = [str(airbyte), "-W", "ignore", str(HERE / "preloaded.py"), "serve", f"{folder}/socket"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, start_new_session=True) as server:
            assert server.stdout is not None
            programs = server.stdout.readline().decode().split()
            assert programs, "PyAirbyte cannot be imported; see stderr"
            for program in programs:
                client = f"{sys.executable} -IS {HERE / 'preloaded.py'} run {folder}/socket {program}"
                (home / "bin" / program).write_text(f'#!/bin/sh\nexec {client} "$@"\n')
                (home / "bin" / program).chmod(0o700)
            yield home
            os.killpg(server.pid, signal.SIGKILL)


@pytest.fixture
def program(home: Path, tmp_path: Path) -> Callable[..., Ended]:
    """Run a program of Airbyte, or `parse-lines`."""

    def run(name: str, *arguments: str | Path, stdin: str = "") -> Ended:
        before = set(home.glob("logs/*/*-log-*.log"))
        command = [home / "bin" / name, *arguments]
        done = subprocess.run(command, input=stdin, cwd=tmp_path, capture_output=True, text=True, check=False)
        logged: dict[str, str] = {}
        for path in sorted(set(home.glob("logs/*/*-log-*.log")) - before):
            logged[path.parent.name] = logged.get(path.parent.name, "") + path.read_text()
        return Ended(done.returncode, done.stdout, done.stderr, logged)

    return run


@pytest.fixture
def parsed(program: Callable[..., Ended]) -> Callable[[bytes], Sequence[Pair]]:
    """What airbyte-cdk's serializers and PyAirbyte's types make of protocol lines."""

    def parse(lines: bytes) -> Sequence[Pair]:
        ended = program("parse-lines", stdin=lines.decode())
        assert ended.code == 0, ended.err
        return [json.loads(line) for line in ended.out.splitlines()]

    return parse
