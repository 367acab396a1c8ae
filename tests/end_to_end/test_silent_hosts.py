"""A platform that takes connections and never answers, beside one that does."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

BRIDGE = str(Path(sys.executable).with_name("cdp-bridge"))
YAML = """
connections:
  - {{name: exports, cdp_provider: source-file, api_credentials: {{path: "{folder}/people.csv", id_column: id}}}}
destinations:
  - {{name: files, connector: destination-file, settings: {{path: "{folder}/out"}}}}
  - name: meta
    connector: destination-meta
    settings: {{access_token: "env:TOKEN", ad_account_id: act_1, base_url: "{url}"}}
mappings:
  people:
    - {{omniads_field: user_id, cdp_field: id}}
    - {{omniads_field: email, cdp_field: email}}
audiences:
  - {{name: quick, connection: exports, segment: all, destination: files, mapping: people}}
  - {{name: silent, connection: exports, segment: all, destination: meta, mapping: people}}
"""


@pytest.fixture
def silent() -> Iterator[str]:
    """The place of a host that answers nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def folder(tmp_path: Path, silent: str) -> Path:
    (tmp_path / "people.csv").write_text("id,email\nu1,ann.one@example.com\nu2,ben.two@example.com\n")
    (tmp_path / "bridge.yaml").write_text(YAML.format(folder=tmp_path, url=f"http://{silent}"))
    subprocess.run(
        [BRIDGE, "apply", "-f", "bridge.yaml", "--yes"],
        cwd=tmp_path,
        env=environment(),
        check=True,
        capture_output=True,
    )
    return tmp_path


def environment() -> dict[str, str]:
    return {**os.environ, "TOKEN": "token-of-the-test"}


def test_finished_rows_are_shown_and_the_silent_host_is_named(folder: Path, silent: str) -> None:
    command = [BRIDGE, "sync", "--all"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        rows = [process.stdout.readline() for _ in range(3)]
        assert rows[0].split()[:2] == ["audience", "status"]
        assert rows[2].split()[:4] == ["quick", "succeeded", "2", "2"]
        waiting = process.stderr.readline()
        assert re.search(rf"waiting for {re.escape(silent)} \(attempt 1, gives up at \d\d:\d\d:\d\d\)", waiting)
        assert process.poll() is None
        process.kill()
        process.communicate()


def test_a_check_gives_up_in_less_than_a_minute(folder: Path, silent: str) -> None:
    started = time.monotonic()
    command = [BRIDGE, "check", "destination-meta", "--connection", "meta"]
    done = subprocess.run(command, cwd=folder, env=environment(), text=True, capture_output=True, check=False)
    assert done.returncode == 1
    assert time.monotonic() - started < 60
    assert f"waiting for {silent}" in done.stderr
    assert "ReadTimeout" in done.stdout
