"""`cdp-bridge serve` is asked to end in the middle of a run: another one goes on where it was."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from cdp_bridge import configuration
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.store import Store
from cdp_bridge.testing.configuring import configure
from destination_chaos import held

PEOPLE = 400
SERVE = """
import sys
import msgspec
from cdp_bridge import cli, flow
from cdp_bridge.orchestration import worker
# A queue server that starts again keeps an order that was handed back until it has been silent for so long.
msgspec.structs.force_setattr(flow.RUNS, "silence", 1.0)
worker.FINISH_SECONDS = float(sys.argv.pop(1))
cli.main()
"""
BRIDGE = """
connections:
  - name: people
    cdp_provider: source-file
    api_credentials: {{path: "{folder}/people.csv", id_column: id}}
destinations:
  - name: chaos
    connector: destination-chaos
    settings: {settings}
mappings:
  people:
    - {{omniads_field: user_id, cdp_field: id}}
    - {{omniads_field: email, cdp_field: email}}
audiences:
  - {{name: vip, connection: people, segment: vip, destination: chaos, mapping: people, schedule: {{paused: true}}}}
"""
Serve = Callable[[float], "subprocess.Popen[str]"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with one audience, whose run takes two seconds."""
    rows = [f"u{number},person.{number}@example.com" for number in range(PEOPLE)]
    (tmp_path / "people.csv").write_text("\n".join(["id,email", *rows]))
    settings = msgspec.json.encode({"path": str(tmp_path / "chaos"), "slow": 0.5}).decode()
    (tmp_path / "bridge.yaml").write_text(BRIDGE.format(folder=tmp_path, settings=settings))
    with Store.open(f"sqlite:///{tmp_path}/cdp-bridge.db") as opened:
        configure(opened, configuration.load(tmp_path / "bridge.yaml", Registry()))
        yield opened


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start `cdp-bridge serve` whose runs may go on for so long once it was asked to end."""
    started: list[subprocess.Popen[str]] = []

    def run(seconds: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SERVE, str(seconds), "serve", "--port", "0", "--health-port", "0"]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def members(folder: Path) -> int:
    """How many people are in the audience."""
    return sum(map(len, held(str(folder / "chaos")).values()))


@pytest.mark.parametrize(("seconds", "state"), [(600.0, "succeeded"), (0.0, "queued")], ids=["finished", "handed over"])
def test_a_run_is_finished_or_goes_on_in_the_next_process(
    serve: Serve, store: Store, tmp_path: Path, seconds: float, state: str
) -> None:
    asked = store.requests.add("vip", "test")
    process = serve(seconds)
    while not store.deliveries("vip"):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "Traceback" not in out + err
    ended = store.requests.get(asked.id)
    assert ended
    assert ended.state == state
    assert (members(tmp_path) < PEOPLE) == (state == "queued")
    successor = serve(10.0)
    while store.requests.newest(state="succeeded") == []:
        assert successor.poll() is None, successor.communicate()
        time.sleep(0.02)
    assert members(tmp_path) == store.ledger.count("vip") == PEOPLE
    assert store.deliveries("vip") == []
    (request,) = store.requests.newest()
    assert (request.id, request.takeovers) == (asked.id, 0)
