"""What is due, by slots, jitter and catch-up alone: each slot once and in order, whenever one looks."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cdp_bridge.schedule.cron import Cron
from cdp_bridge.schedule.interval import Every, duration
from cdp_bridge.schedule.timetable import MAX_SLOTS, CatchUp, Slots, Timetable
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import Utc

HOUR = timedelta(hours=1)
START = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)

SLOTS = st.sampled_from(
    [
        Every(timedelta(seconds=7)),
        Every(HOUR),
        Cron("*/13 * * * *", ZoneInfo("Europe/Berlin")),
        Cron("30 1,2,3 * * *", ZoneInfo("America/New_York")),
    ]
)
JITTERS = st.sampled_from([timedelta(0), timedelta(seconds=3), timedelta(minutes=50), timedelta(days=3)])
STEPS = st.lists(st.integers(1, 7_000), min_size=1, max_size=12)
MOMENTS = st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def followed(timetable: Timetable, start: datetime, steps: Sequence[int]) -> list[datetime]:
    """The slots that somebody gets who looks after each of these seconds and goes on from the last one."""
    last = now = start
    found = []
    for step in steps:
        now += timedelta(seconds=step)
        due = timetable.due(last, now)
        found += due
        last = max([last, *due])
    return found


@settings(deadline=None)
@given(slots=SLOTS, jitter=JITTERS, steps=STEPS)
def test_all_gives_each_slot_once_in_order_however_often_one_looks(
    slots: Slots, jitter: timedelta, steps: list[int]
) -> None:
    timetable = Timetable("vip", slots, jitter=jitter, catch_up="all")
    found = followed(timetable, START, steps)
    now = START + timedelta(seconds=sum(steps))
    if len(found) < MAX_SLOTS:
        assert found == timetable.due(START, now)
    expected = [START]
    while timetable.next_start(expected[-1]) <= now:
        expected.append(slots.after(expected[-1]))
    assert timetable.due(START, now) == expected[1:][-MAX_SLOTS:]


@settings(deadline=None)
@given(slots=SLOTS, jitter=JITTERS, steps=STEPS)
def test_once_gives_the_newest_of_what_passed(slots: Slots, jitter: timedelta, steps: list[int]) -> None:
    every = Timetable("vip", slots, jitter=jitter, catch_up="all")
    once = Timetable("vip", slots, jitter=jitter, catch_up="once")
    now = START + timedelta(seconds=sum(steps))
    assert once.due(START, now) == every.due(START, now)[-1:]
    found = followed(once, START, steps)
    assert found == sorted(set(found))


@settings(deadline=None)
@given(slots=SLOTS, jitter=JITTERS, seconds=st.integers(0, 100_000))
def test_jitter_delays_a_slot_by_less_than_it_and_never_past_the_next(
    slots: Slots, jitter: timedelta, seconds: int
) -> None:
    timetable = Timetable("vip", slots, jitter=jitter, catch_up="once")
    before = START + timedelta(seconds=seconds)
    slot, start = slots.after(before), timetable.next_start(before)
    assert slot <= start <= min(slot + jitter, slots.after(slot))
    assert timetable.due(before, start - timedelta(microseconds=1)) == []
    assert timetable.due(before, start) == [slot]
    assert timetable.latest(start) == slot


def test_jitter_is_the_same_for_every_scheduler_and_differs_between_audiences_and_slots() -> None:
    def starts(audience: str) -> list[datetime]:
        timetable = Timetable(audience, Every(HOUR), jitter=HOUR)
        return [timetable.next_start(START + number * HOUR) for number in range(20)]

    assert starts("vip") == starts("vip")
    assert len({(start - START) % HOUR for name in ("vip", "cart") for start in starts(name)}) == 40


@pytest.mark.parametrize(
    ("catch_up", "late", "expected"),
    [
        ("skip", timedelta(seconds=59), ["12:00"]),
        ("skip", timedelta(seconds=61), []),
        ("once", timedelta(hours=2, minutes=5), ["14:00"]),
        ("all", timedelta(hours=2, minutes=5), ["12:00", "13:00", "14:00"]),
    ],
)
def test_what_is_late_goes_by_the_policy(catch_up: CatchUp, late: timedelta, expected: list[str], utc: Utc) -> None:
    timetable = Timetable("vip", Every(HOUR), catch_up=catch_up)
    due = timetable.due(utc("2026-05-01 11:00"), utc("2026-05-01 12:00") + late)
    assert [f"{slot:%H:%M}" for slot in due] == expected


def test_catching_up_ten_years_is_bounded() -> None:
    minutely = Timetable("vip", Cron("* * * * *", ZoneInfo("Europe/Berlin")), catch_up="all")
    due = minutely.due(START - timedelta(days=3_650), START)
    assert due == [START - timedelta(minutes=number) for number in range(MAX_SLOTS)][::-1]


@settings(deadline=None)
@given(slots=SLOTS, jitter=JITTERS, last=MOMENTS, now=MOMENTS)
def test_nothing_is_due_that_was_before_or_has_not_started(
    slots: Slots, jitter: timedelta, last: datetime, now: datetime
) -> None:
    for catch_up in ("skip", "once", "all"):
        due = Timetable("vip", slots, jitter=jitter, catch_up=catch_up).due(last, now)
        assert all(last < slot <= now for slot in due)


@pytest.mark.parametrize(
    ("interval", "seconds"), [("1s", 1), ("15m", 900), ("6h", 21_600), ("1d", 86_400), ("99999w", 99_999 * 604_800)]
)
def test_an_interval_is_a_number_and_a_unit(interval: str, seconds: int) -> None:
    assert duration(interval) == timedelta(seconds=seconds)
    assert Every(duration(interval)).after(START) > START
