"""Workers: each run request is carried out once in effect, whatever happens to workers, flow and store."""

import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.entities import (
    RunRequest,
    SyncLog,
)
from cdp_bridge.errors import ConfigError
from cdp_bridge.flow import RUNS, Flow, LocalServer, RunOrder
from cdp_bridge.orchestration import dispatcher as dispatch
from cdp_bridge.orchestration import worker
from cdp_bridge.orchestration.dispatcher import Dispatcher
from cdp_bridge.orchestration.worker import Cancellation, work
from cdp_bridge.store import Store

from .conftest import SHORT, Begin, Start, note, states, succeed

Until = Callable[[Callable[[], Any]], Any]


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
    (run,) = store.history.listed()
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
    (run,) = store.history.listed()
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


def purge(flow: Flow) -> None:
    """Lose everything that is in the flow, and its memory of it."""

    async def lose(client: Any) -> None:
        await client.jetstream().delete_stream(RUNS.name)

    flow._run(flow._connection.use(lose))
    flow._run(flow._connection.use(flow._declare))
