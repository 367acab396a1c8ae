"""An hourly sync through containers whose server, scheduler and worker are killed: each slot runs once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sandbox
from cdp_bridge import configuration
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.store import Store
from cdp_bridge.sync.run import open_run
from cdp_bridge.testing.configuring import configure
from sandbox.people import generate

import docker

from .conftest import BOXED, BRIDGE, PEOPLE, People, ours

# `cdp-bridge serve` or `worker` with the connector of these tests, and a scheduler that goes by the clock in a file.
BRIDGED = """
import sys
from datetime import datetime
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
boxed, clock = sys.argv.pop(1), Path(sys.argv.pop(1))
sys.path.insert(0, boxed)
import msgspec
from cdp_bridge import cli, flow
from cdp_bridge.orchestration import worker
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.server import service

class Clock(datetime):
    @classmethod
    def now(cls, zone=None):
        return datetime.fromisoformat(clock.read_text())

service.datetime, worker.MAX_WAIT = Clock, 0.5
msgspec.structs.force_setattr(flow.RUNS, "silence", 1.5)
points = [*entry_points(group="cdp_bridge"), EntryPoint("boxed", "boxed", "cdp_bridge")]
import_module("cdp_bridge.cli.serve").trusted_plugins = lambda trusted: Registry(points)
cli.main()
"""
COMMANDS = {
    "server": ("serve", "--port", "0", "--health-port", "0", "--workers", "0", "--launcher", "docker"),
    "worker": ("worker", "--launcher", "docker"),
}
START = datetime.fromisoformat("2026-03-28T00:30:00+00:00")


class Day:
    """A bridge on a day whose hours pass when the test says so."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self.store, self.hours = folder, store, 0
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def pass_hours(self, count: int) -> None:
        self.hours += count
        new = self.folder / "clock.new"
        new.write_text((START + timedelta(hours=self.hours)).isoformat())
        new.replace(self.folder / "clock")

    def start(self, name: str) -> None:
        command = [sys.executable, "-c", BRIDGED, str(BOXED), str(self.folder / "clock"), *COMMANDS[name]]
        environment = os.environ | {"META_TOKEN": "sandbox-token"}
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=subprocess.STDOUT
            )

    def kill(self, *names: str) -> None:
        for name in names:
            self.processes[name].kill()
            self.processes[name].wait()

    def until(self, true: Callable[[], Any]) -> None:
        while not true():
            dead = [name for name, process in self.processes.items() if process.poll() not in (None, -signal.SIGKILL)]
            assert not dead, (self.folder / f"{dead[0]}.log").read_text()
            time.sleep(0.02)

    def slots(self, *states: Any) -> list[datetime]:
        """The slots whose runs are in one of these states, each as often as there are runs."""
        found = (one for one in self.store.requests.newest("vip", limit=1_000) if one.state in states)
        return sorted(one.slot for one in found if one.slot)

    def wait(self) -> None:
        """Until every slot up to now has succeeded."""
        self.until(lambda: len(self.slots("succeeded")) >= self.hours)


@pytest.fixture
def day(people: People, twins: sandbox.Sandbox, registry: Registry, tmp_path: Path) -> Iterator[Day]:
    """The demo's audience, synced by the hour; no hour has passed yet."""
    hourly = "removal_limit: 1, schedule: {every: 1h, catch_up: all}"
    text = BRIDGE.format(people=people.url, meta=twins.meta, name="vip").replace("removal_limit: 1", hourly)
    (tmp_path / "bridge.yaml").write_text(text)
    with Store.open(f"sqlite:///{tmp_path}/cdp-bridge.db") as store:
        configure(store, configuration.load(tmp_path / "bridge.yaml", registry))
        made = Day(tmp_path, store)
        made.pass_hours(0)
        yield made
        made.kill(*made.processes)


def held(twins: sandbox.Sandbox, store: Store, name: str) -> list[bytes]:
    """Who is in the audience at the platform."""
    ref = store.audience_ref(name)
    assert ref is not None
    with urllib.request.urlopen(f"{twins.meta}/_twin/audiences/{ref.id}/people") as answer:
        return sorted(answer.read().split())


def test_no_slot_is_missed_or_doubled_whoever_is_killed(
    day: Day,
    engine: docker.APIClient,
    people: People,
    twins: sandbox.Sandbox,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("META_TOKEN", "sandbox-token")
    everybody = [(one.segment_id, one.emails[0].true) for one in generate(PEOPLE, 1).people if one.emails]

    def pass_hours(count: int = 1) -> None:
        first = 10 * day.hours
        people.segment = [{"id": str(who), "email": email} for who, email in everybody[first : first + 150]]
        day.pass_hours(count)

    day.start("server")
    day.start("worker")
    day.until(lambda: any(one.version for one in day.store.schedules.all()))
    pass_hours()
    day.until(lambda: ours(engine))
    day.kill("worker")
    day.start("worker")
    day.wait()
    pass_hours()
    day.kill("server")
    day.start("server")
    day.wait()
    pass_hours()
    day.until(lambda: day.slots("running"))
    day.kill("server", "worker")
    pass_hours(2)
    day.start("server")
    day.start("worker")
    day.wait()
    for process in day.processes.values():
        process.terminate()
        assert process.wait() == 0
    expected = [START.replace(minute=0) + timedelta(hours=hour) for hour in range(1, day.hours + 1)]
    assert day.slots("succeeded") == day.slots("queued", "running", "failed", "succeeded", "cancelled") == expected
    assert sum(one.takeovers for one in day.store.requests.newest("vip")) >= 1
    (day.folder / "bridge.yaml").write_text(BRIDGE.format(people=people.url, meta=twins.meta, name="truth"))
    with Store.open(f"sqlite:///{day.folder}/truth.db") as store:
        configure(store, configuration.load(day.folder / "bridge.yaml", registry))
        with open_run(store, registry, store.bridge().audiences[0]) as run:
            assert run.sync().status == "succeeded"
        assert held(twins, day.store, "vip") == held(twins, store, "truth")
    assert day.store.deliveries("vip") == []
