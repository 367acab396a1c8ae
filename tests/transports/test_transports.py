"""A connector does the same in this process and in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.connectors.transport import Remote
from cdp_bridge.errors import ConfigError
from cdp_bridge.settings import load, seal
from destination_chaos import CONNECTOR

Carry = Callable[[str | None], Any]


def children(name: str) -> list[psutil.Process]:
    """Processes of a connector that this process has started."""
    return [one for one in psutil.Process().children(recursive=True) if any(name in part for part in one.cmdline())]


def kill_when(harness: Any, members: int) -> None:
    """Kill the destination's process once so many people are in."""
    while len(harness.members()) < members:
        time.sleep(0.01)
    (process,) = children("destination-chaos")
    process.kill()


def test_a_life_of_an_audience_is_the_same_by_every_transport(make_harness: Carry) -> None:
    def life(transport: str | None) -> list[Any]:
        harness, seen = make_harness(transport), []
        for people in (range(250), range(10, 260), range(10, 260)):
            harness.people(*people)
            log, members, ledger = harness.sync(slow=0.001, pause=0.001)
            counted = (log.status, log.adds, log.removes, log.membership_calls, log.funnel.in_segment, log.error)
            seen.append((counted, members, ledger))
        return seen

    here = life(None)
    assert [(log[0], log[1], log[2], len(members)) for log, members, _ in here] == [
        ("succeeded", 250, 0, 250),
        ("succeeded", 10, 10, 250),
        ("succeeded", 0, 0, 250),
    ]
    assert life("local") == here


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({}, "succeeded"),
        ({"unauthorised_after": 1}, "failed"),
        ({"bug_after": 1}, "failed"),
        ({"lost_answers": 1.0}, "failed"),
    ],
)
def test_members_ledger_and_errors_are_the_same(make_harness: Carry, fault: dict[str, Any], status: str) -> None:
    def outcome(transport: str | None) -> Any:
        harness = make_harness(transport)
        harness.people(*range(250))
        log, members, ledger = harness.sync(**fault)
        assert log.status == status
        # Whose batch went first hangs on the random keys of the store.
        return len(members), len(ledger), log.error, log.unknown, log.rejected

    assert outcome("local") == outcome(None)


def test_no_process_is_left(make_harness: Carry) -> None:
    harness = make_harness("local")
    harness.people(1)
    harness.sync()
    harness.preview()
    assert children("destination-chaos") + children("source-file") == []


def test_a_run_that_is_opened_and_never_chosen_out_leaves_no_process(make_harness: Carry) -> None:
    harness = make_harness("local")
    harness.people(1)
    with harness.open():
        assert children("destination-chaos")
        assert children("source-file")
    assert children("destination-chaos") + children("source-file") == []
    with pytest.raises(ZeroDivisionError), harness.open():
        raise ZeroDivisionError
    assert children("destination-chaos") + children("source-file") == []


def test_a_process_that_is_killed_ends_the_run_with_a_reason_and_the_next_one_repairs_it(make_harness: Carry) -> None:
    harness = make_harness("local")
    harness.people(*range(250))
    killer = threading.Thread(target=lambda: kill_when(harness, 100))
    killer.start()
    log = harness.sync(slow=0.5).log
    killer.join()
    assert (log.status, log.error) == ("failed", "the process of destination-chaos was ended by SIGKILL")
    again = harness.sync()
    assert (again.log.status, len(again.members), len(again.ledger)) == ("succeeded", 250, 250)


def test_errors_arrive_as_they_were_raised(tmp_path: Path) -> None:
    def remote(**faults: Any) -> Remote:
        settings = load(CONNECTOR.settings, {"path": str(tmp_path / "chaos")} | faults)
        return Remote(Registry().launcher("local").start, CONNECTOR, seal(settings))

    (tmp_path / "taken").touch()
    away = remote(path=str(tmp_path / "taken"))
    (folder, _) = away.check(None)
    assert (folder.passed, "name another folder" in folder.remedy) == (False, True)
    with pytest.raises(ConfigError) as refused, away.open(None):
        pass
    assert refused.value.place.endswith("taken/chaos.db")
    away.close()
    assert not hasattr(away, "preview")
    away.close()


def test_a_connector_whose_program_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    remote = Remote(Registry().launcher("local").start, CONNECTOR, b"")
    with pytest.raises(ConfigError, match="Reinstall the package that brings destination-chaos"):
        remote.check(None)


def test_sigterm_stops_a_sync_and_leaves_no_process(make_harness: Carry) -> None:
    harness = make_harness("local")
    harness.people(*range(250))
    harness.configure(slow=30)
    command = [str(Path(sys.executable).with_name("cdp-bridge")), "sync", "vip", "--launcher", "local"]
    store = {"CDP_BRIDGE_STORE": f"sqlite:///{harness.folder}/store.db"}
    with subprocess.Popen(command, env=os.environ | store, stderr=subprocess.PIPE, text=True) as process:
        while not children("destination-chaos"):
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.02)
        process.terminate()
        _, complaints = process.communicate()
    assert (process.returncode, complaints.strip()) == (1, "error: stopped")
    assert children("destination-chaos") == []


def test_both_processes_start_at_the_same_time(make_harness: Carry) -> None:
    harness = make_harness("local")
    harness.people(1)
    launcher, both = harness.launcher, threading.Barrier(2)

    class Waiting:
        """Starts a process once another one is to be started."""

        def start(self, *arguments: Any, **named: Any) -> Any:
            both.wait()
            return launcher.start(*arguments, **named)

    harness.launcher = Waiting()
    assert harness.sync().log.status == "succeeded"
