"""singer-sdk in an environment of its own, the Meta twin, and a target for each destination."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sandbox

ROOT = Path(__file__).parents[2]
# Whoever starts so many processes keeps what Python compiles, outside the source tree.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
    "PYTHONPYCACHEPREFIX": str(ROOT / ".cache" / "bytecode")
}


@pytest.fixture(scope="session")
def singer() -> Path:
    """singer-sdk's Python; set up on first use."""
    command = ["bash", "-c", "source scripts/environment.sh && tool_environment singer"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"singer-sdk's environment cannot be set up:\n{done.stdout}{done.stderr}"
    return ROOT / ".cache" / "singer" / "bin" / "python"


@pytest.fixture(scope="module")
def twins() -> Iterator[sandbox.Sandbox]:
    """A Meta ad account."""
    with sandbox.running() as box:
        yield box


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where destination-file writes."""
    return tmp_path_factory.mktemp("singer")


@pytest.fixture(scope="module")
def targets(twins: sandbox.Sandbox, folder: Path) -> dict[str, dict[str, Any]]:
    """The configuration of a target for every destination, by its name; a new destination is one line here."""
    settings = {
        "destination-file": {"path": str(folder)},
        "destination-meta": {"access_token": "sandbox-token", "ad_account_id": "1001", "base_url": twins.meta},
    }
    executables = Path(sys.executable).parent
    return {name: {"executable": str(executables / name), "settings": given} for name, given in settings.items()}


@pytest.fixture(scope="module")
def run(singer: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python of singer-sdk's environment."""

    def start(*arguments: str | Path, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        command, folder = [singer, *arguments], tmp_path_factory.mktemp("home")
        environment = ENVIRONMENT | {"HOME": str(folder)} | more
        return subprocess.run(
            command, input=stdin, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )

    return start
