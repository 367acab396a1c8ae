"""The commands of docs/writing-a-connector.md, run from top to bottom by a shell in a fresh environment."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping

import pytest

from tests.docs.console import printed, script, steps
from tests.fresh import ROOT, Environment, build

PORT = "8765"
"""Of the twin on the page; a free one takes its place."""


@pytest.fixture(scope="session")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[int, str]:
    """What each command of the page printed, by the position of its step; the first that fails is the last."""
    folder = tmp_path_factory.mktemp("docs")
    environment = Environment.make(tmp_path_factory.mktemp("environment") / "venv")
    core = build(ROOT / "core", tmp_path_factory.mktemp("wheel"))
    environment.install(f"{core}[author]", "pip", "hatchling", "editables")
    (folder / "cdp-bridge").symlink_to(ROOT)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    # What pip would download is there already.
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "false"}
    page = (ROOT / "docs" / "writing-a-connector.md").read_text()
    done = subprocess.run(
        ["bash", "-e"],
        input=script(steps(page)).replace(PORT, port),
        cwd=folder,
        env=environment.variables | offline | {"LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return printed(done.stdout.replace(port, PORT))
