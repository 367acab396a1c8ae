"""`cdp-bridge serve` as a process: everything on embedded defaults, and its end."""

from __future__ import annotations

import json
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

Serve = Callable[..., "subprocess.Popen[str]"]
COMMAND = [sys.executable, "-c", "from cdp_bridge.cli import main; main()"]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start `cdp-bridge serve` (or another command) in a folder of its own."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, command: str = "serve") -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        ports = ["--port", "0", "--health-port", "0"] if command == "serve" else []
        process = subprocess.Popen(
            [*COMMAND, command, *ports, *arguments], cwd=tmp_path, stdout=pipe, stderr=pipe, text=True
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str], pattern: str) -> str:
    """What a line of the process says that matches."""
    assert process.stdout
    for line in process.stdout:
        if found := re.search(pattern, line):
            return found[1]
    raise AssertionError(process.communicate()[1])


def own_key(url: str, first: str) -> str:
    """An administrator's key, made with the first one, which is then worth nothing."""
    headers = {"Authorization": f"Bearer {first}"}
    made = requests.post(f"{url}/v1/api-keys", json={"name": "me", "role": "admin"}, headers=headers)
    assert made.status_code == 201, made.text
    assert requests.get(f"{url}/v1/connectors", headers=headers).status_code == 401
    return str(made.json()["text"])


def configure(url: str, key: str, folder: Path) -> None:
    """An audience that is filled from a file into a file, through the API alone."""
    (folder / "vip.csv").write_text("id,email\n1,ada@example.com\n2,bob@example.com\n")
    rules = [{"omniads_field": "user_id", "cdp_field": "id"}, {"omniads_field": "email", "cdp_field": "email"}]
    source, target = {"path": str(folder / "vip.csv")}, {"path": str(folder / "out"), "profile": "meta"}
    bodies: dict[str, dict[str, Any]] = {
        "connections": {"name": "crm", "cdp_provider": "source-file", "api_credentials": source},
        "destinations": {"name": "out", "connector": "destination-file", "settings": target},
        "mappings": {"name": "people", "rules": rules},
        "audiences": {"name": "vip", "connection": "crm", "segment": "s", "destination": "out", "mapping": "people"},
    }
    for what, body in bodies.items():
        answer = requests.post(f"{url}/v1/{what}", json=body, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("workers", ["2", "0"], ids=["in one process", "by a worker beside it"])
def test_a_segment_is_activated_through_the_api_alone(serve: Serve, tmp_path: Path, workers: str) -> None:
    process = serve("--workers", workers, "--allow-local", str(tmp_path))
    first, url = Path(said(process, "For ten minutes, (.+) has one")), said(process, "Serving at (http://[0-9.:]+)")
    health = said(process, "Health at (http://[0-9.:]+/readyz)")
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    key = own_key(url, first.read_text())
    configure(url, key, tmp_path)
    others = [serve(command="worker")] if workers == "0" else []
    headers = {"Authorization": f"Bearer {key}"}
    run = requests.post(f"{url}/v1/audiences/vip/sync", headers=headers).json()
    with requests.get(f"{url}/v1/runs/{run['id']}/events", headers=headers, stream=True) as stream:
        lines = [line.decode() for line in stream.iter_lines()]
    last = json.loads([line for line in lines if line.startswith("data: ") and "audience" in line][-1][6:])
    assert last["state"] == "succeeded", last
    assert last["log"]["funnel"]["accepted"] == 2
    assert requests.get(f"{url}/v1/audiences/vip", headers=headers).json()["size"] == 2
    assert requests.get(health).json() == {
        "ok": True,
        "parts": dict.fromkeys(("store", "api", "scheduler", "worker"), True),
    }
    for other in others:
        other.send_signal(signal.SIGTERM)
        assert other.communicate()
        assert other.returncode == 0
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "Traceback" not in out + err
    assert key not in err
    assert not first.exists()
    again = serve()
    assert said(again, "(Serving|For ten minutes)") == "Serving"


def test_an_address_that_is_taken_is_said(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = serve("--port", str(port))
        _, err = process.communicate()
    assert process.returncode == 1
    assert f"127.0.0.1:{port}: cannot be listened at (Address already in use). Choose another" in err
    assert "Traceback" not in err
