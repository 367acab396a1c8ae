"""Workers for tests: a queue server and a store of their own, in this process or in processes that a test may kill."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol

import pytest
from cdp_bridge.entities import (
    RunRequest,
    SyncLog,
)
from cdp_bridge.flow import RUNS, Flow, LocalServer
from cdp_bridge.orchestration import dispatcher as dispatch
from cdp_bridge.orchestration import worker
from cdp_bridge.orchestration.worker import RunSync, work
from cdp_bridge.store import Store
from msgspec.structs import replace

Until = Callable[[Callable[[], Any]], Any]


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[LocalServer]:
    """A queue server that a test may kill."""
    with LocalServer(tmp_path / "flow") as running:
        yield running


# A run of ten steps that says when it begins, and writes at its end under the audience's lease, as a real one does.
WORKER = """
import os, sys, time
from datetime import UTC, datetime
from pathlib import Path
from msgspec.structs import replace
from cdp_bridge.entities import SyncLog
from cdp_bridge.flow import Flow, local
from cdp_bridge.orchestration import worker
from cdp_bridge.redact import log_to
from cdp_bridge.store import Store
folder, url, name, step = sys.argv[1:]
log_to(sys.stderr)
worker.RUNS = replace(worker.RUNS, silence=1.0)
worker.FINISH_SECONDS = 0.1
worker.MAX_WAIT = 0.3
store = Store.open(url)

def sync(request, cancellation, lease, ticket):
    log = SyncLog(run_id=f"{name} {request.id}", audience=request.audience, sync_timestamp=datetime.now(UTC))
    os.write(1, f"{request.id}\\n".encode())
    for _ in range(10):
        time.sleep(float(step))
        cancellation.check()
    with store.transaction(lease) as change:
        log.status = "succeeded"
        change.save_run(log)
    return log

stop = worker.stop_on_signals()
with Flow(local(Path(folder)), [worker.RUNS]) as flow:
    worker.work(flow, store, sync, slots=2, stop=stop)
"""


SHORT = replace(RUNS, silence=1.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


class Process(subprocess.Popen[str]):
    """A worker whose output the test reads."""

    stdout: IO[str]
    stderr: IO[str]


class Start(Protocol):
    """Start a worker process: its name, and the seconds of a step."""

    def __call__(self, name: str, step: float = 0.02) -> Process: ...


class Begin(Protocol):
    """Work in a thread of this process until the end of the test, on the test's store or another (`of`)."""

    def __call__(self, sync: RunSync, slots: int = 2, of: Store = ...) -> None: ...


@pytest.fixture
def start(own_server: LocalServer, store: Store, tmp_path: Path) -> Iterator[Start]:
    """Start a worker process; it is killed after the test."""
    started: list[Process] = []

    def run(name: str, step: float = 0.02) -> Process:
        url = f"sqlite:///{tmp_path}/store.db"
        command = [sys.executable, "-c", WORKER, str(tmp_path / "flow"), url, name, str(step)]
        started.append(Process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def short(own_server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flow]:
    """A flow whose run orders go to another worker after one second of silence."""
    monkeypatch.setattr(worker, "RUNS", SHORT)
    monkeypatch.setattr(dispatch, "RUNS", SHORT)
    with Flow(own_server.find, [SHORT]) as flow:
        yield flow


@pytest.fixture
def working(short: Flow, store: Store) -> Iterator[Begin]:
    """Work in a thread of this process until the end of the test."""
    stop, threads = threading.Event(), []

    def begin(sync: RunSync, slots: int = 2, of: Store = store) -> None:
        options = {"slots": slots, "stop": stop}
        threads.append(threading.Thread(target=work, args=(short, of, sync), kwargs=options))
        threads[-1].start()

    yield begin
    stop.set()
    for thread in threads:
        thread.join()


def states(store: Store) -> set[str]:
    return {request.state for request in store.requests.newest(limit=1_000)}


def succeed(request: RunRequest, *_: object) -> SyncLog:
    now = datetime.now(UTC)
    return SyncLog(run_id=f"run of {request.id}", audience=request.audience, sync_timestamp=now, status="succeeded")


def note(requests: list[str]) -> RunSync:
    """A run that is noted."""

    def sync(request: RunRequest, *_: object) -> SyncLog:
        requests.append(request.id)
        return succeed(request)

    return sync
