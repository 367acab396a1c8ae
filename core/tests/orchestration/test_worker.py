"""Workers: each run request is carried out once in effect, whatever happens to workers, flow and store."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol

import pytest
from cdp_bridge.entities import (
    Activation,
    Bridge,
    CDPConnection,
    DataMapping,
    DestinationAccount,
    RunRequest,
    SyncLog,
)
from cdp_bridge.errors import ConfigError
from cdp_bridge.flow import RUNS, Flow, LocalServer, RunOrder
from cdp_bridge.orchestration import dispatcher as dispatch
from cdp_bridge.orchestration import worker
from cdp_bridge.orchestration.dispatcher import Dispatcher
from cdp_bridge.orchestration.worker import Cancellation, RunSync, work
from cdp_bridge.store import Lease, Store
from cdp_bridge.sync.reading import ReadTicket
from cdp_bridge.testing import configuring
from msgspec.structs import replace

Until = Callable[[Callable[[], Any]], Any]

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


def test_two_workers_share_the_runs_and_one_takes_over_from_the_other_when_it_is_killed(
    short: Flow, store: Store, start: Start, until: Until
) -> None:
    requests = [store.requests.add(f"audience-{number % 6}", "test") for number in range(24)]
    first, second = start("first"), start("second")
    Dispatcher(store, short).tick()
    begun = [first.stdout.readline().strip() for _ in range(3)]
    os.kill(first.pid, signal.SIGKILL)
    begun += first.communicate()[0].split()
    until(lambda: states(store) == {"succeeded"} and short.count(SHORT) == 0)
    os.kill(second.pid, signal.SIGTERM)
    begun += second.communicate()[0].split()
    assert set(begun) == {request.id for request in requests}
    # What the killed one had in hand, at most one for each slot, has begun twice; nothing else.
    assert 1 <= len(begun) - 24 <= 2
    ends = [one.run_id for request in requests for one in [store.requests.get(request.id)] if one and one.run_id]
    assert {end.split()[0] for end in ends} == {"first", "second"}
    assert sorted(end.split()[1] for end in ends) == sorted(request.id for request in requests)


def test_a_worker_that_wakes_up_after_another_took_over_can_write_nothing(
    short: Flow, store: Store, start: Start, working: Begin, tmp_path: Path, until: Until
) -> None:
    request = store.requests.add("vip", "test")
    Dispatcher(store, short).tick()
    sleeper = start("sleeper", step=0.05)
    sleeper.stdout.readline()
    os.kill(sleeper.pid, signal.SIGSTOP)
    # By this clock, a lease of 60 seconds that is not renewed has ended.
    with Store.open(f"sqlite:///{tmp_path}/store.db", clock=lambda: time.time() + 100) as later:
        working(succeed, of=later)
        until(lambda: states(store) == {"succeeded"})
    os.kill(sleeper.pid, signal.SIGCONT)
    until(lambda: "was not renewed in time" in sleeper.stderr.readline())
    found = store.requests.get(request.id)
    assert found is not None
    assert found.run_id == f"run of {request.id}"
    assert store.runs() == []


def test_a_run_that_kills_its_worker_each_time_is_given_up(
    short: Flow, store: Store, working: Begin, caplog: pytest.LogCaptureFixture, until: Until
) -> None:
    request = store.requests.add("vip", "test")
    for _ in range(worker.MAX_TAKEOVERS + 1):
        with store.requests.hold("vip") as lease:
            assert store.requests.start(request.id, lease)
    begun = SyncLog(run_id="begun", audience="vip", sync_timestamp=datetime.now(UTC))
    with store.transaction() as change:
        change.save_run(begun)
    Dispatcher(store, short).tick()
    tried: list[str] = []
    working(note(tried))
    until(lambda: states(store) == {"failed"})
    assert tried == []
    (run,) = store.history.newest()
    assert run.log
    assert (run.log.run_id, run.log.status) == ("begun", "failed")
    assert run.log.error == "given up, since its worker died or was cut off 4 times. See the workers' logs"
    assert run.log.error in caplog.text


def test_a_worker_that_is_asked_to_stop_hands_a_long_run_over(
    short: Flow, store: Store, start: Start, working: Begin, until: Until
) -> None:
    request = store.requests.add("vip", "test")
    Dispatcher(store, short).tick()
    leaving = start("leaving", step=0.2)
    leaving.stdout.readline()
    os.kill(leaving.pid, signal.SIGTERM)
    working(succeed)
    until(lambda: states(store) == {"succeeded"})
    assert leaving.wait() == 0
    found = store.requests.get(request.id)
    assert found is not None
    assert (found.run_id, found.takeovers) == (f"run of {request.id}", 0)


def test_a_run_that_is_nearly_done_is_finished_before_the_worker_ends(short: Flow, store: Store) -> None:
    stop = threading.Event()

    def sync(request: RunRequest, cancellation: Cancellation, *_: object) -> SyncLog:
        stop.set()
        cancellation.sleep(0.8)
        return succeed(request, cancellation)

    store.requests.add("vip", "test")
    store.requests.add("buyers", "test")
    Dispatcher(store, short).tick()
    work(short, store, sync, slots=1, stop=stop)
    assert sorted(one.state for one in store.requests.newest()) == ["queued", "succeeded"]


def test_the_flow_may_die_while_a_run_goes_on(
    short: Flow, store: Store, own_server: LocalServer, working: Begin, until: Until
) -> None:
    begun: list[str] = []

    def sync(request: RunRequest, cancellation: Cancellation, *_: object) -> SyncLog:
        begun.append(request.id)
        os.kill(own_server.pid, signal.SIGKILL)
        cancellation.sleep(1.5)
        return succeed(request, cancellation)

    request = store.requests.add("vip", "test")
    Dispatcher(store, short).tick()
    working(sync)
    until(lambda: short.count(SHORT) == 0)
    assert begun == [request.id]
    assert states(store) == {"succeeded"}


@pytest.mark.parametrize("state", ["succeeded", "cancelled"])
def test_what_is_over_already_is_not_run(short: Flow, store: Store, working: Begin, state: str, until: Until) -> None:
    request = store.requests.add("vip", "test")
    Dispatcher(store, short).tick()
    if state == "cancelled":
        store.requests.cancel(request.id)
    else:
        with store.requests.hold("vip") as lease:
            store.requests.start(request.id, lease)
            store.requests.finish(request.id, lease, "succeeded")
    begun: list[str] = []
    working(note(begun))
    until(lambda: short.count(SHORT) == 0)
    assert begun == []
    assert states(store) == {state}


def test_an_order_for_a_request_that_the_store_does_not_know_is_kept_aside(
    short: Flow, store: Store, working: Begin, until: Until
) -> None:
    short.publish(SHORT, RunOrder(request="of another bridge"), id="x")
    working(succeed)
    until(lambda: short.count(SHORT) == 0)
    assert [letter.reason for letter in short.undeliverable()] == ["unknown_request"]


def test_a_running_request_can_be_cancelled(
    short: Flow, store: Store, working: Begin, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.05)

    def sync(request: RunRequest, cancellation: Cancellation, *_: object) -> SyncLog:
        store.requests.cancel(request.id)
        log = succeed(request, cancellation)
        try:
            cancellation.sleep(30)
        except worker.StopRunError as error:
            log.status, log.error = "failed", str(error)
        return log

    request = store.requests.add("vip", "test")
    Dispatcher(store, short).tick()
    working(sync)
    until(lambda: states(store) == {"cancelled"})
    found = store.requests.get(request.id)
    assert found is not None
    assert found.run_id == f"run of {request.id}"


@pytest.mark.parametrize("error", [ConfigError("is not configured any more"), ValueError("of anna@example.com")])
def test_a_run_that_cannot_begin_has_failed(
    short: Flow, store: Store, working: Begin, error: Exception, caplog: pytest.LogCaptureFixture, until: Until
) -> None:
    def sync(*_: object) -> SyncLog:
        raise error

    store.requests.add("vip", "test")
    Dispatcher(store, short).tick()
    working(sync)
    until(lambda: states(store) == {"failed"})
    assert "the run of vip has failed: it could not begin: " in caplog.text
    (run,) = store.history.newest()
    assert run.log
    assert run.log.error.startswith("it could not begin: ")
    assert "anna" not in caplog.text


def test_two_runs_of_one_audience_are_never_carried_out_at_once(
    short: Flow, store: Store, working: Begin, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    monkeypatch.setattr(worker, "MAX_WAIT", 0.2)
    at_once, most = [0], [0]

    def sync(request: RunRequest, cancellation: Cancellation, *_: object) -> SyncLog:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        cancellation.sleep(0.3)
        at_once[0] -= 1
        return succeed(request, cancellation)

    for _ in range(3):
        store.requests.add("vip", "test")
    Dispatcher(store, short).tick()
    working(sync, slots=3)
    until(lambda: states(store) == {"succeeded"})
    assert most == [1]


def test_a_run_that_somebody_started_by_hand_is_waited_for(
    short: Flow, store: Store, working: Begin, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    monkeypatch.setattr(worker, "MAX_WAIT", 0.2)
    store.requests.add("vip", "test")
    with store.lease("audience:vip"):
        Dispatcher(store, short).tick()
        working(succeed)
        time.sleep(0.8)
        assert states(store) == {"queued"}
    until(lambda: states(store) == {"succeeded"})


def test_each_request_is_ordered_once_and_again_when_the_flow_has_lost_it(short: Flow, store: Store) -> None:
    seconds = [0.0]
    dispatcher = Dispatcher(store, short, clock=lambda: seconds[0])
    waiting, running = store.requests.add("vip", "test"), store.requests.add("buyers", "test")
    assert dispatcher.tick() == 2
    assert dispatcher.tick() == 0
    assert Dispatcher(store, short).tick() == 0
    with store.requests.hold("buyers") as lease:
        store.requests.start(running.id, lease)
    purge(short)
    assert dispatcher.tick() == 0
    seconds[0] += dispatch.SWEEP_SECONDS
    assert dispatcher.tick() == 2
    assert short.count(SHORT) == 2
    assert waiting.state == "queued"


def configure(store: Store, *names: str) -> None:
    """Audiences for the same segment, and one for another."""
    people: dict[str, Any] = {"connection": "crm", "destination": "ads", "mapping": "people"}
    audiences = [Activation(name=name, segment="vip", **people) for name in names]
    configuring.configure(
        store,
        Bridge(
            connections=(CDPConnection(name="crm", cdp_provider="source-file"),),
            destinations=(DestinationAccount(name="ads", connector="destination-file"),),
            mappings={"people": (DataMapping(omniads_field="user_id", cdp_field="id"),)},
            audiences=(*audiences, Activation(name="other", segment="other", **people)),
        ),
    )


class Meeting:
    """A sync that notes to which read the ticket of each run belongs, and goes on once so many have met."""

    def __init__(self, expected: int) -> None:
        self.reads: dict[str, Any] = {}
        self._met = threading.Barrier(expected)

    def __call__(self, request: RunRequest, cancellation: Cancellation, lease: Lease, ticket: ReadTicket) -> SyncLog:
        self.reads[request.audience] = ticket._shared
        self._met.wait()
        return self.go_on(request, cancellation)

    def go_on(self, request: RunRequest, cancellation: Cancellation) -> SyncLog:
        return succeed(request)


def test_what_waits_for_the_same_people_is_taken_along(short: Flow, store: Store, working: Begin, until: Until) -> None:
    configure(store, "meta", "tiktok", "google")
    for name in ("meta", "other", "tiktok", "google"):
        store.requests.add(name, "test")
    Dispatcher(store, short).tick()
    sync = Meeting(4)
    working(sync, slots=2)
    until(lambda: states(store) == {"succeeded"} and short.count(SHORT) == 0)
    reads = {sync.reads[name] for name in ("meta", "tiktok", "google")}
    assert len(reads) == 1
    assert sync.reads["other"] not in reads


def test_what_is_not_due_or_somebody_elses_is_left(short: Flow, store: Store, working: Begin, until: Until) -> None:
    configure(store, "meta", "tiktok", "google")
    requests = [store.requests.add(name, "test") for name in ("meta", "tiktok")]
    sync = Meeting(1)
    with store.lease("audience:tiktok"):
        short.publish(SHORT, RunOrder(request=requests[0].id), id=requests[0].id)
        working(sync)
        until(lambda: store.requests.get(requests[0].id).state == "succeeded")  # type: ignore[union-attr]
    assert set(sync.reads) == {"meta"}
    assert store.requests.get(requests[1].id).state == "queued"  # type: ignore[union-attr]


def test_one_that_is_cancelled_or_fails_ends_alone(
    short: Flow, store: Store, working: Begin, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.05)
    configure(store, "meta", "tiktok", "google")
    requests = {name: store.requests.add(name, "test").id for name in ("meta", "tiktok", "google")}

    class Different(Meeting):
        def go_on(self, request: RunRequest, cancellation: Cancellation) -> SyncLog:
            log = succeed(request)
            if request.audience == "google":
                raise ValueError("of google")
            if request.audience == "tiktok":
                store.requests.cancel(request.id)
                try:
                    cancellation.sleep(30)
                except worker.StopRunError as error:
                    log.status, log.error = "failed", str(error)
            return log

    Dispatcher(store, short).tick()
    working(Different(3))
    until(lambda: short.count(SHORT) == 0)
    ended = {name: found.state for name, id_ in requests.items() for found in [store.requests.get(id_)] if found}
    assert ended == {"meta": "succeeded", "tiktok": "cancelled", "google": "failed"}


def test_a_worker_that_is_asked_to_stop_hands_all_of_them_over(
    short: Flow, store: Store, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    monkeypatch.setattr(worker, "FINISH_SECONDS", 0.1)
    configure(store, "meta", "tiktok")
    requests = [store.requests.add(name, "test") for name in ("meta", "tiktok")]
    Dispatcher(store, short).tick()
    stop = threading.Event()

    class Long(Meeting):
        def go_on(self, request: RunRequest, cancellation: Cancellation) -> SyncLog:
            stop.set()
            log = succeed(request)
            try:
                cancellation.sleep(30)
            except worker.StopRunError as error:
                log.status, log.error = "failed", str(error)
            return log

    work(short, store, Long(2), slots=1, stop=stop)
    assert states(store) == {"queued"}
    again = threading.Event()
    thread = threading.Thread(target=work, args=(short, store, Meeting(2)), kwargs={"slots": 1, "stop": again})
    thread.start()
    until(lambda: states(store) == {"succeeded"})
    again.set()
    thread.join()
    assert [one.takeovers for request in requests for one in [store.requests.get(request.id)] if one] == [0, 0]


def test_of_a_worker_that_dies_each_run_is_taken_over(
    short: Flow, store: Store, start: Start, working: Begin, until: Until
) -> None:
    configure(store, "meta", "tiktok")
    requests = [store.requests.add(name, "test") for name in ("meta", "tiktok")]
    Dispatcher(store, short).tick()
    dying = start("dying", step=1)
    begun = {dying.stdout.readline().strip() for _ in requests}
    assert begun == {request.id for request in requests}
    os.kill(dying.pid, signal.SIGKILL)
    dying.communicate()
    working(succeed)
    until(lambda: states(store) == {"succeeded"})
    assert [one.takeovers for request in requests for one in [store.requests.get(request.id)] if one] == [1, 1]


def purge(flow: Flow) -> None:
    """Lose everything that is in the flow, and its memory of it."""

    async def lose(client: Any) -> None:
        await client.jetstream().delete_stream(RUNS.name)

    flow._run(flow._connection.use(lose))
    flow._run(flow._connection.use(flow._declare))
