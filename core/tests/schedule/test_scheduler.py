"""The scheduler on a real store, with the clock in the test's hand."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from cdp_bridge.entities import Retry, RunRequest, Schedule
from cdp_bridge.schedule import Scheduler, finish
from cdp_bridge.store import Store
from cdp_bridge.testing.configuring import configure
from msgspec.structs import replace

from .conftest import MakeBridge

START = datetime(2026, 5, 1, 11, 30, tzinfo=UTC)
START_OF_2000 = datetime(2000, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALL = Schedule(every="1h", catch_up="all")
Run = Callable[..., RunRequest | None]


class Clock:
    """A moment that only the test moves."""

    now = START

    def __call__(self) -> float:
        return self.now.timestamp()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(sqlite_url: str, clock: Clock) -> Iterator[Store]:
    with Store.open(sqlite_url, clock=clock) as opened:
        yield opened


@pytest.fixture
def run(store: Store, clock: Clock) -> Run:
    """Run the oldest request to an end; the retry that follows."""

    def ended(state: Any = "succeeded") -> RunRequest | None:
        request = store.requests.ready()[0]
        with store.requests.hold(request.audience) as lease:
            assert store.requests.start(request.id, lease)
            return finish(store, request, lease, state, "run", now=clock.now)

    return ended


def asked(requests: list[RunRequest]) -> list[str]:
    return [f"{request.audience} {request.slot:%d %H:%M}" if request.slot else request.audience for request in requests]


def test_a_new_audience_starts_with_its_next_slot_then_goes_on(store: Store, bridge: MakeBridge, run: Run) -> None:
    configure(store, bridge({"vip": None, "cart": Schedule(every="30m")}))
    scheduler = Scheduler(store)
    assert scheduler.tick(START) == []
    assert asked(scheduler.tick(START + HOUR / 2)) == ["cart 01 12:00", "vip 01 12:00"]
    assert scheduler.tick(START + HOUR / 2) == []
    run(), run()
    assert asked(scheduler.tick(START + HOUR)) == ["cart 01 12:30"]


def test_what_passed_while_nobody_looked_goes_by_the_policy(store: Store, bridge: MakeBridge) -> None:
    configure(store, bridge({policy: Schedule(every="1h", catch_up=policy) for policy in ("skip", "once", "all")}))
    Scheduler(store).tick(START)
    late = START + 2 * HOUR + HOUR / 4
    assert asked(Scheduler(store).tick(late)) == ["all 01 12:00", "all 01 13:00", "once 01 13:00"]
    assert asked(Scheduler(store).tick(START + 2.5 * HOUR)) == ["all 01 14:00", "skip 01 14:00"]


def test_an_audience_that_comes_back_does_not_catch_up_from_where_it_was_left(store: Store, bridge: MakeBridge) -> None:
    configure(store, bridge({"vip": ALL, "cart": ALL}))
    Scheduler(store).tick(START)
    configure(store, bridge({"cart": ALL}))
    configure(store, bridge({"vip": ALL, "cart": ALL}))
    assert asked(Scheduler(store).tick(START + HOUR)) == ["cart 01 12:00"]
    assert asked(Scheduler(store).tick(START + 2 * HOUR)) == ["cart 01 13:00", "vip 01 13:00"]


def test_a_changed_timetable_counts_from_now_a_changed_policy_changes_nothing(store: Store, bridge: MakeBridge) -> None:
    scheduler = Scheduler(store)
    for hours, schedule, expected in (
        (0, Schedule(cron="0 18 * * *"), []),
        (2, Schedule(cron="0 13 * * *"), []),
        (24, Schedule(cron="0 13 * * *", catch_up="all"), []),
        (26, Schedule(cron="0 13 * * *", catch_up="all"), ["vip 02 13:00"]),
    ):
        configure(store, bridge({"vip": schedule}))
        assert asked(scheduler.tick(START + hours * HOUR)) == expected


@pytest.mark.parametrize("by_file", [True, False])
def test_a_paused_audience_is_asked_for_by_hand_only_and_goes_on_with_the_next_slot(
    store: Store, bridge: MakeBridge, by_file: bool
) -> None:
    def pause(paused: bool) -> None:
        if by_file:
            configure(store, bridge({"vip": replace(ALL, paused=paused)}))
        else:
            store.schedules.pause("vip", paused)

    configure(store, bridge({"vip": ALL}))
    scheduler = Scheduler(store)
    scheduler.tick(START)
    pause(True)
    assert scheduler.tick(START + 3 * HOUR) == Scheduler(store).tick(START + 4 * HOUR) == []
    manual = store.requests.add("vip", "anna")
    assert store.requests.ready() == [manual]
    pause(False)
    assert scheduler.tick(START + 5 * HOUR) == []
    assert asked(scheduler.tick(START + 6 * HOUR)) == ["vip 01 17:00"]


def test_an_audience_runs_after_each_of_its_parents_succeeded_anew(
    store: Store, bridge: MakeBridge, clock: Clock, run: Run
) -> None:
    paused = Schedule(paused=True)
    configure(store, bridge({"child": Schedule(after=("a", "b")), "a": paused, "b": paused}))
    scheduler, other = Scheduler(store), Scheduler(store)

    def turn(audience: str, state: str) -> list[str]:
        store.requests.add(audience, "anna")
        run(state)
        found = asked(scheduler.tick(clock.now) + other.tick(clock.now))
        if found:
            run()
        return found

    scheduler.tick(START)
    # Neither one parent alone, nor what is no success, nor the success that was used already.
    outcomes = [("a", "succeeded"), ("a", "succeeded"), ("b", "partial"), ("b", "failed"), ("b", "waiting")]
    assert [turn(*given) for given in outcomes] == [[]] * 5
    for request in store.requests.ready():
        store.requests.cancel(request.id)
    assert turn("b", "succeeded") == ["child"]
    assert turn("b", "succeeded") == []
    # A clock that is set back does not matter.
    clock.now -= timedelta(days=400)
    assert turn("a", "succeeded") == ["child"]


def test_a_failed_run_is_tried_again_after_growing_waits(
    store: Store, bridge: MakeBridge, clock: Clock, run: Run
) -> None:
    configure(store, bridge({"vip": Schedule(retry=Retry(attempts=4, wait="1m"))}))
    store.requests.add("vip", "anna")
    waits = []
    while retry := run("failed"):
        assert retry.not_before
        waits.append((retry.not_before - clock.now).total_seconds())
        clock.now = retry.not_before
    assert waits == [60, 120, 240]
    assert sorted(request.attempt for request in store.requests.newest("vip")) == [1, 2, 3, 4]


@pytest.mark.parametrize("state", ["succeeded", "partial", "waiting", "cancelled"])
def test_what_did_not_fail_is_not_tried_again(store: Store, bridge: MakeBridge, run: Run, state: str) -> None:
    configure(store, bridge({"vip": None}))
    store.requests.add("vip", "anna")
    assert run(state) is None
    assert store.requests.ready() == []


def test_one_that_cannot_be_scheduled_is_named_and_the_others_go_on(
    store: Store, bridge: MakeBridge, caplog: pytest.LogCaptureFixture
) -> None:
    configure(store, bridge({"vip": Schedule(every="1h"), "cart": Schedule(cron="0 25 * * *")}))
    scheduler = Scheduler(store)
    scheduler.tick(START)
    assert asked(scheduler.tick(START + HOUR)) == ["vip 01 12:00"]
    assert list(scheduler.faults) == ["cart"]
    assert caplog.text.count("cart is not scheduled: cron: the hour 25 at character 3 is not one") == 1


def test_waiting_ends_with_the_next_start_or_when_others_may_have_changed_something(
    store: Store, bridge: MakeBridge
) -> None:
    scheduler = Scheduler(store)
    assert scheduler.wait(START) == 5
    configure(store, bridge({"vip": Schedule(every="1h"), "idle": Schedule(paused=True)}))
    scheduler.tick(START)
    assert scheduler.wait(START) == 5
    nearly = START + HOUR / 2 - timedelta(seconds=2)
    assert (scheduler.tick(nearly), scheduler.wait(nearly)) == ([], 2)
    assert (len(scheduler.tick(START + HOUR / 2)), scheduler.wait(START + HOUR / 2)) == (1, 5)


def test_a_look_at_1_000_schedules_of_which_none_is_due_is_one_statement(
    store: Store, bridge: MakeBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(store, bridge({f"a{number}": ALL for number in range(1_000)}))
    scheduler = Scheduler(store)
    scheduler.tick(START)
    scheduler.tick(START)
    statements: list[str] = []
    sa.event.listen(
        store._database.engine, "before_cursor_execute", lambda _, __, statement, *___: statements.append(statement)
    )
    monkeypatch.setattr("cdp_bridge.schedule.scheduler._compiled", lambda *_: pytest.fail("compiled again"))
    monkeypatch.setattr("cdp_bridge.schedule.timetable.Timetable._started", lambda *_: pytest.fail("looked for slots"))
    assert scheduler.tick(START + HOUR / 4) == []
    assert [statement.split()[0] for statement in statements if "BEGIN" not in statement] == ["SELECT"]


def test_10_000_days_with_a_clock_that_jumps_have_each_slot_once(sqlite_url: str, bridge: MakeBridge) -> None:
    dice = random.Random(7)
    with Store.open(sqlite_url) as store:
        configure(store, bridge({"vip": Schedule(cron="30 2 * * *", time_zone="Europe/Berlin", catch_up="all")}))
        now = START_OF_2000
        until = now + timedelta(days=10_000)
        slots = []
        scheduler = Scheduler(store)
        while now < until:
            slots += [request.slot for request in scheduler.tick(now)]
            if dice.random() < 0.1:
                scheduler = Scheduler(store)
            if dice.random() < 0.1:
                # Back, by a second to a hundred days; what comes again is not asked for again.
                now -= timedelta(seconds=dice.choice([1, 3_600, 86_400, 8_640_000]))
            else:
                now += timedelta(days=dice.random() * 80)
        slots += [request.slot for request in scheduler.tick(now)]
    assert len(slots) == len(set(slots))
    days = sorted(slot.date() for slot in slots if slot and START_OF_2000 < slot < until)
    assert days == [days[0] + timedelta(days=number) for number in range(len(days))]
    assert len(days) >= 9_999


@pytest.mark.parametrize("catch_up", ["skip", "once"])
def test_a_clock_that_jumps_and_comes_back_costs_no_later_slot(
    sqlite_url: str, bridge: MakeBridge, catch_up: Any
) -> None:
    with Store.open(sqlite_url) as store:
        configure(store, bridge({"vip": Schedule(every="1h", catch_up=catch_up)}))
        scheduler = Scheduler(store)
        slots: list[datetime | None] = []

        def pass_hours(start: datetime, hours: int) -> datetime:
            for half in range(hours * 2 + 1):
                for request in scheduler.tick(start + half * HOUR / 2):
                    slots.append(request.slot)
                    store.requests.cancel(request.id)
            return start + hours * HOUR

        now = pass_hours(START, 2)
        for jump in (1, 3_600, 86_400, 315_360_000):
            for sign in (1, -1):
                now = pass_hours(now + sign * timedelta(seconds=jump), 2) - sign * timedelta(seconds=jump)
                start, now = now, pass_hours(now, 26)
                assert {start.replace(minute=0) + number * HOUR for number in range(1, 27)} <= set(slots)
    assert len(slots) == len(set(slots))
