"""Run requests: one run of an audience at a time, taken over from dead workers, cancelled, retried."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from cdp_bridge.store import LeaseHeldError, LeaseLostError, Store
from cdp_bridge.store.runs.schedules import Move

from .conftest import Clock


@pytest.fixture
def store(store_url: str, clock: Clock) -> Iterator[Store]:
    with Store.open(store_url, clock=clock) as opened:
        yield opened


def test_a_request_is_started_once_and_finished(store: Store, at: datetime) -> None:
    request = store.requests.add("vip", "anna")
    assert store.requests.ready() == [request]
    with store.requests.hold("vip") as lease:
        started = store.requests.start(request.id, lease)
        assert started is not None
        assert (started.state, started.token, started.started_at) == ("running", lease.token, at)
        assert store.requests.start(request.id, lease) is None
        assert store.requests.ready() == []
        assert store.requests.finish(request.id, lease, "partial", "run-1") is None
        assert store.requests.finish(request.id, lease, "failed", "run-2", retry_at=at) is None
    ended = store.requests.get(request.id)
    assert ended is not None
    assert (ended.state, ended.run_id, ended.finished_at, ended.requested_by) == ("partial", "run-1", at, "anna")
    assert store.requests.newest("vip", "partial") == [ended]
    assert store.requests.newest("cart") == store.requests.newest(state="running") == []


def test_requests_come_back_newest_first_and_start_oldest_first(store: Store, clock: Clock) -> None:
    added = []
    for audience in ("vip", "cart", "vip"):
        added.append(store.requests.add(audience, "anna"))
        clock.now += 1
    assert store.requests.newest() == added[::-1]
    assert store.requests.newest(limit=1) == added[-1:]
    assert store.requests.newest("vip") == [added[2], added[0]]
    assert store.requests.ready() == added
    assert store.requests.ready(limit=2) == added[:2]


def test_two_runs_of_an_audience_never_go_on_at_once(store: Store) -> None:
    first, second = store.requests.add("vip", "anna"), store.requests.add("vip", "ben")
    with store.requests.hold("vip") as lease:
        store.requests.start(first.id, lease)
        with pytest.raises(LeaseHeldError), store.requests.hold("vip"):
            pytest.fail("two workers")
        store.requests.finish(first.id, lease, "succeeded")
    with store.requests.hold("vip") as lease:
        assert store.requests.start(second.id, lease) is not None


def test_a_request_of_a_dead_worker_is_taken_over_and_the_late_one_records_nothing(store: Store, clock: Clock) -> None:
    request = store.requests.add("vip", "anna")
    with store.requests.hold("vip", 60) as late:
        store.requests.start(request.id, late)
        clock.now += 61
        with store.requests.hold("vip", 60) as newer:
            taken_over = store.requests.start(request.id, newer)
            assert taken_over is not None
            assert taken_over.token == newer.token > late.token
            assert taken_over.takeovers == 1
            for step in (store.requests.start, lambda id, lease: store.requests.finish(id, lease, "failed")):
                with pytest.raises(LeaseLostError):
                    step(request.id, late)
            store.requests.finish(request.id, newer, "succeeded", "run-2")
    ended = store.requests.get(request.id)
    assert ended is not None
    assert (ended.state, ended.run_id) == ("succeeded", "run-2")


def test_a_request_that_is_handed_back_is_no_takeover(store: Store, clock: Clock) -> None:
    request = store.requests.add("vip", "anna")
    with store.requests.hold("vip", 60) as first:
        store.requests.start(request.id, first)
        store.requests.hand_back(request.id, first)
        assert [ready.state for ready in store.requests.ready()] == ["queued"]
    with store.requests.hold("vip", 60) as second:
        started = store.requests.start(request.id, second)
        assert started is not None
        assert (started.token, started.takeovers) == (second.token, 0)
        clock.now += 61
        with pytest.raises(LeaseLostError):
            store.requests.hand_back(request.id, second)


def test_a_queued_request_that_is_cancelled_never_starts(store: Store, at: datetime) -> None:
    request = store.requests.add("vip", "anna")
    cancelled = store.requests.cancel(request.id)
    assert cancelled is not None
    assert (cancelled.state, cancelled.finished_at) == ("cancelled", at)
    assert store.requests.ready() == []
    with store.requests.hold("vip") as lease:
        assert store.requests.start(request.id, lease) is None
    assert store.requests.cancel("unknown") is None


def test_a_running_request_is_told_to_stop_and_not_tried_again(store: Store, at: datetime) -> None:
    request = store.requests.add("vip", "anna")
    with store.requests.hold("vip") as lease:
        store.requests.start(request.id, lease)
        stopping = store.requests.cancel(request.id)
        assert stopping is not None
        assert (stopping.state, stopping.cancelling) == ("running", True)
        assert store.requests.finish(request.id, lease, "failed", retry_at=at) is None
    assert store.requests.ready() == []
    ended = store.requests.cancel(request.id)
    assert ended is not None
    assert ended.state == "failed"


def test_a_request_whose_worker_died_while_it_was_cancelled_is_over(store: Store, clock: Clock) -> None:
    request = store.requests.add("vip", "anna")
    with store.requests.hold("vip", 60) as late:
        store.requests.start(request.id, late)
        store.requests.cancel(request.id)
        clock.now += 61
        with store.requests.hold("vip") as newer:
            assert store.requests.start(request.id, newer) is None
    ended = store.requests.get(request.id)
    assert ended is not None
    assert ended.state == "cancelled"


def test_a_retry_waits_its_time_and_is_the_next_attempt(store: Store, at: datetime, clock: Clock) -> None:
    request = store.requests.add("vip", "anna")
    with store.requests.hold("vip") as lease:
        store.requests.start(request.id, lease)
        retry = store.requests.finish(request.id, lease, "failed", "run-1", retry_at=at + timedelta(seconds=30))
        assert retry is not None
        assert (retry.kind, retry.attempt, retry.retry_of, retry.requested_by) == ("retry", 2, request.id, "anna")
        assert store.requests.ready() == []
        assert store.requests.start(retry.id, lease) is None
        clock.now += 30
        assert store.requests.ready() == [retry]
        assert store.requests.start(retry.id, lease) is not None


def test_no_retry_is_made_while_another_request_waits(store: Store, at: datetime) -> None:
    request = store.requests.add("vip", "anna")
    with store.requests.hold("vip") as lease:
        store.requests.start(request.id, lease)
        store.requests.add("vip", "ben")
        assert store.requests.finish(request.id, lease, "failed", retry_at=at) is None


def test_a_wait_is_void_once_the_clock_was_set_back(store: Store, clock: Clock) -> None:
    clock.now += 10 * 365 * 86_400
    request = store.requests.add("vip", "anna")
    with store.requests.hold("vip") as lease:
        store.requests.start(request.id, lease)
        until = datetime.fromtimestamp(clock.now + 60).astimezone()
        retry = store.requests.finish(request.id, lease, "failed", retry_at=until)
    assert store.requests.ready() == []
    clock.now -= 10 * 365 * 86_400
    assert store.requests.ready() == [retry]


def test_of_two_schedulers_one_takes_a_step(store: Store, at: datetime) -> None:
    slots = [at, at + timedelta(hours=1)]
    move = Move(audience="vip", version=0, timetable="every 1h", last_slot=at, served={"cart": 2}, slots=slots)
    made = store.schedules.move([move], at)
    assert [(request.slot, request.kind, request.requested_at) for request in made] == [
        (slots[0], "scheduled", at),
        (slots[1], "scheduled", at),
    ]
    assert store.schedules.move([move], at) == []
    assert store.requests.ready() == made


def test_a_slot_is_asked_for_once_even_when_its_time_comes_again(store: Store, at: datetime) -> None:
    def request(version: int, *slots: datetime | None) -> list[datetime | None]:
        move = Move(audience="vip", version=version, timetable="x", last_slot=at, served={}, slots=slots, merge=False)
        return [request.slot for request in store.schedules.move([move], at)]

    later = at + timedelta(hours=1)
    assert request(0, at) == [at]
    assert request(1, at, later) == [later]
    assert request(2, None) == [None]
    assert request(3, None) == [None]


def test_a_slot_merges_into_an_earlier_one_that_waits(store: Store, at: datetime) -> None:
    def request(version: int, hours: int) -> int:
        slot = at + timedelta(hours=hours)
        return len(
            store.schedules.move(
                [Move(audience="vip", version=version, timetable="x", last_slot=slot, served={}, slots=[slot])], slot
            )
        )

    assert (request(0, 0), request(1, 1)) == (1, 0)
    (waiting,) = store.requests.ready()
    with store.requests.hold("vip") as lease:
        store.requests.start(waiting.id, lease)
        assert request(2, 2) == 1
