"""Cron lines: the wall-clock times that they say, each once, also where the clocks change."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cdp_bridge.errors import ConfigError
from cdp_bridge.schedule.cron import Cron
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import Utc

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Antarctica/Troll")


def forwards(line: str, zone: str, since: datetime, until: datetime) -> list[datetime]:
    cron = Cron(line, ZoneInfo(zone))
    slots = [cron.after(since)]
    while slots[-1] <= until:
        slots.append(cron.after(slots[-1]))
    return slots[:-1]


def backwards(line: str, zone: str, since: datetime, until: datetime) -> list[datetime]:
    newest_first = Cron(line, ZoneInfo(zone)).until(until)
    return list(itertools.takewhile(lambda slot: slot > since, newest_first))[::-1]


# Berlin's clocks go from 02:00 to 03:00, and from 03:00 back to 02:00, both at 01:00 UTC.
SPRING, AUTUMN = ("Europe/Berlin", "2026-03-28 22:00"), ("Europe/Berlin", "2026-10-24 22:00")


@pytest.mark.parametrize(
    ("line", "zone_and_start", "hours", "expected"),
    [
        ("30 2 * * *", SPRING, 6, ["01:00"]),
        ("0 2 * * *", SPRING, 6, ["01:00"]),
        ("0 2,3 * * *", SPRING, 6, ["01:00"]),
        ("30 2,3 * * *", SPRING, 6, ["01:00", "01:30"]),
        ("*/20 2 * * *", SPRING, 6, ["01:00"]),
        ("30 * * * *", SPRING, 4, ["22:30", "23:30", "00:30", "01:30"]),
        ("30 2 * * *", AUTUMN, 6, ["00:30"]),
        ("0 3 * * *", AUTUMN, 6, ["02:00"]),
        ("*/30 2 * * *", AUTUMN, 6, ["00:00", "00:30"]),
        ("30 * * * *", AUTUMN, 4, ["22:30", "23:30", "00:30", "01:30"]),
        ("0 */2 * * *", AUTUMN, 5, ["00:00", "03:00"]),
        # A gap of half an hour, and a day that there was not.
        ("15 2 * * *", ("Australia/Lord_Howe", "2026-10-03 12:00"), 20, ["15:30"]),
        ("0 9 * * *", ("Pacific/Apia", "2011-12-29 20:00"), 30, ["10:00", "19:00"]),
        ("0 0 29 2 *", ("UTC", "2028-02-27 12:00"), 99, ["00:00"]),
        ("0 12 L * *", ("UTC", "2026-04-25 12:00"), 150, ["12:00"]),
        ("0 12 * * 7", ("UTC", "2026-11-16 12:00"), 168, ["12:00"]),
        ("0 12 * * SUN", ("UTC", "2026-11-16 12:00"), 168, ["12:00"]),
        ("0 12 20 * 0", ("UTC", "2026-11-16 12:00"), 168, ["12:00", "12:00"]),
    ],
)
def test_a_line_means_these_moments(
    line: str, zone_and_start: tuple[str, str], hours: int, expected: list[str], utc: Utc
) -> None:
    zone, start = zone_and_start
    since = utc(start)
    until = since + timedelta(hours=hours)
    found = forwards(line, zone, since, until)
    assert [f"{slot:%H:%M}" for slot in found] == expected
    assert backwards(line, zone, since, until) == found


def test_walking_back_from_within_the_repeated_hour_leaves_out_nothing(utc: Utc) -> None:
    since, until = utc("2026-10-24 23:59"), utc("2026-10-25 01:10")
    assert backwards("40 2 * * *", "Europe/Berlin", since, until) == [utc("2026-10-25 00:40")]
    assert backwards("5 * * * *", "Europe/Berlin", since, until) == [
        utc("2026-10-25 00:05"),
        utc("2026-10-25 01:05"),
    ]


LINES = st.sampled_from(
    [
        "* * * * *",
        "*/7 * * * *",
        "30 * * * *",
        "30 2 * * *",
        "15,45 1,2,3 * * *",
        "*/20 2 * * *",
        "0 */3 * * 1-5",
        "59 23 L * *",
    ]
)
MOMENTS = st.integers(1_300_000_000, 2_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
# The hours around changes of the clock in each of the zones.
CHANGES = st.sampled_from(
    [
        "2026-03-29 01:00",
        "2026-10-25 01:00",
        "2026-03-08 07:00",
        "2026-11-01 06:00",
        "2026-10-03 15:30",
        "2026-04-04 15:00",
    ]
).flatmap(
    lambda text: st.integers(-8_000, 8_000).map(
        lambda seconds: datetime.fromisoformat(f"{text}+00:00") + timedelta(seconds=seconds)
    )
)


@settings(deadline=None)
@given(line=LINES, zone=st.sampled_from(ZONES), since=MOMENTS | CHANGES, minutes=st.integers(1, 300))
def test_both_directions_find_the_same_slots_in_order(line: str, zone: str, since: datetime, minutes: int) -> None:
    until = since + timedelta(minutes=minutes)
    found = forwards(line, zone, since, until)
    assert found == sorted(set(found))
    assert backwards(line, zone, since, until) == found


@settings(deadline=None, max_examples=30)
@given(zone=st.sampled_from(ZONES), since=MOMENTS | CHANGES)
def test_every_minute_is_every_minute_that_passes(zone: str, since: datetime) -> None:
    since = since.replace(second=0, microsecond=0)
    found = forwards("* * * * *", zone, since, since + timedelta(minutes=100))
    assert found == [since + timedelta(minutes=number) for number in range(1, 101)]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize(("hour", "minute"), [(0, 0), (2, 30), (1, 59), (3, 0)])
def test_a_daily_line_has_one_slot_on_each_of_2_500_days(zone: str, hour: int, minute: int, utc: Utc) -> None:
    cron, place = Cron(f"{minute} {hour} * * *", ZoneInfo(zone)), ZoneInfo(zone)
    slot, day = utc("2000-01-01 12:00"), utc("2000-01-01 12:00").astimezone(place).date()
    days = []
    for _ in range(2_500):
        slot = cron.after(slot)
        days.append(slot.astimezone(place).date())
    first = days[0]
    assert first - day <= timedelta(days=1)
    assert days == [first + timedelta(days=number) for number in range(2_500)]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", "has 0"),
        ("* * * *", "a cron line has five fields, this one has 4"),
        ("0 * * * * *", "this one has 6"),
        ("@hourly", "this one has 1"),
        ("61 * * * *", "the minute 61 at character 1 is not one. Write 0-59"),
        ("0  24 * * *", "the hour 24 at character 4 is not one"),
        ("0 0 0 * *", "the day-of-month 0 at character 5 is not one"),
        ("0 0 * JANUARY *", "the month JANUARY at character 7 is not one"),
        ("0 0 * * 0,8", "the day-of-week 0,8 at character 9 is not one"),
        ("5-1 * * * *", "the minute 5-1 at character 1"),
        ("*/0 * * * *", "the minute */0 at character 1"),
        (f"{'9' * 5_000} * * * *", "the minute"),
        ("0 0 30 2 *", "no day is ever like that"),
    ],
)
def test_a_bad_line_is_explained_with_the_position(line: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Cron(line, ZoneInfo("UTC"))
    assert problem in str(caught.value)
    assert caught.value.remedy


@settings(deadline=None)
@given(st.text(alphabet="0123456789*/,-#LWMONJAN \t٣", max_size=40))
def test_any_text_is_a_line_or_refused(line: str) -> None:
    try:
        cron = Cron(line, ZoneInfo("Europe/Berlin"))
    except ConfigError:
        return
    now = datetime(2026, 3, 28, 23, 59, tzinfo=UTC)
    assert cron.after(now) > now >= next(cron.until(now))
