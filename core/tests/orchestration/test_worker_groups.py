"""Workers that carry out the runs of one read together: each has a lease and an end of its own."""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

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
from cdp_bridge.flow import Flow, RunOrder
from cdp_bridge.orchestration import worker
from cdp_bridge.orchestration.dispatcher import Dispatcher
from cdp_bridge.orchestration.worker import Cancellation, work
from cdp_bridge.store import Lease, Store
from cdp_bridge.sync.reading import ReadTicket
from cdp_bridge.testing import configuring

from .conftest import SHORT, Begin, Start, states, succeed

Until = Callable[[Callable[[], Any]], Any]


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
