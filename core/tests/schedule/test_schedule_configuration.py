"""Schedules in bridge.yaml: what is taken, and the place and remedy of everything that is not."""

from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest
from cdp_bridge import configuration
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Bridge, Retry, Schedule
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import Connector
from cdp_bridge.schedule.when import effective, text
from cdp_bridge.store import Store
from cdp_bridge.testing.configuring import configure

FILE = """
connections:
  - name: cdp
    cdp_provider: source-x
    sync_schedule: {connection}
destinations:
  - {{name: ads, connector: destination-x}}
mappings:
  people: [{{omniads_field: user_id, cdp_field: id}}]
audiences:
  - {{name: vip, connection: cdp, segment: vip, destination: ads, mapping: people}}
  - name: buyers
    connection: cdp
    segment: buyers
    destination: ads
    mapping: people
    schedule: {schedule}
  - {{name: cart, connection: cdp, segment: x, destination: ads, mapping: people, schedule: {{after: [buyers]}}}}
"""


class Nothing(msgspec.Struct):
    pass


class Load(Protocol):
    """The bridge of a file with this schedule of an audience, and of the connection."""

    def __call__(self, schedule: str, connection: str = "hourly") -> Bridge: ...


@pytest.fixture
def load(tmp_path: Path) -> Load:
    registry = Registry([])
    for name in ("source-x", "destination-x"):
        kind: Any = name.partition("-")[0]
        registry.connectors[name] = Connector(name=name, kind=kind, settings=Nothing, load="nowhere")

    def loaded(schedule: str, connection: str = "hourly") -> Bridge:
        file = tmp_path / "bridge.yaml"
        file.write_text(FILE.format(schedule=schedule, connection=connection), encoding="utf-8")
        return configuration.load(file, registry)

    return loaded


@pytest.mark.parametrize(
    ("written", "schedule"),
    [
        ("{cron: 30 6 * * 1-5, time_zone: Europe/Berlin}", Schedule(cron="30 6 * * 1-5", time_zone="Europe/Berlin")),
        ("{every: 15m, jitter: 2m, catch_up: skip}", Schedule(every="15m", jitter="2m", catch_up="skip")),
        ("{after: [vip], retry: {attempts: 1}}", Schedule(after=("vip",), retry=Retry(attempts=1))),
        ("{paused: true}", Schedule(paused=True)),
    ],
)
def test_a_schedule_is_loaded_and_kept(load: Load, written: str, schedule: Schedule, store: Store) -> None:
    bridge = load(written)
    assert bridge.audiences[1].schedule == schedule
    configure(store, bridge)
    assert store.bridge() == bridge
    assert [standing.schedule for standing in store.schedules.all()] == [
        Schedule(),
        schedule,
        Schedule(after=("buyers",)),
    ]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{cron: 0 25 * * *}", "bridge.yaml:17:16 (audiences.1.schedule.cron): the hour 25 at character 3 is not one"),
        ("{cron: ''}", "(audiences.1.schedule.cron): a cron line has five fields, this one has 0"),
        (
            "{cron: 0 2 * * *, time_zone: Europe/Berln}",
            "(audiences.1.schedule.time_zone): there is no such time zone. Did you mean Europe/Berlin?",
        ),
        ("{time_zone: ../../../etc/passwd}", "(audiences.1.schedule.time_zone): there is no such time zone"),
        ("{every: 1h, time_zone: ''}", "(audiences.1.schedule.time_zone): there is no such time zone"),
        ("{every: 0h}", "(audiences.1.schedule.every): must match the pattern"),
        ("{every: 1 hour}", "(audiences.1.schedule.every): must match the pattern"),
        ("{jitter: 5}", "(audiences.1.schedule.jitter): must be"),
        ("{catch_up: twice}", "(audiences.1.schedule.catch_up): must be one of"),
        ("{retry: {attempts: 0}}", "(audiences.1.schedule.retry.attempts)"),
        ("{cron: 0 2 * * *, every: 1h}", "(audiences.1.schedule.every): both cron and every say when. Keep one"),
        ("{every: 1h, after: [vip]}", "(audiences.1.schedule.after): both every and after say when. Keep one"),
        ("{after: [vip, vipp]}", "(audiences.1.schedule.after.1): there is no audience vipp. Did you mean vip?"),
        ("{after: [zzz]}", "there is no audience zzz. There are: buyers, cart, vip"),
        ("{after: [buyers]}", "(audiences.1.schedule.after.0): buyers after buyers never starts"),
        ("{after: [vip, cart]}", "(audiences.1.schedule.after.1): buyers after cart after buyers never starts"),
        ("{at: 12}", "(audiences.1.schedule.at): is not a known setting"),
    ],
)
def test_a_fault_of_a_schedule_is_named_with_place_and_remedy(load: Load, written: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("sync_schedule", "meaning"),
    [
        ("hourly", "cron 0 * * * * UTC"),
        ("daily", "cron 0 0 * * * UTC"),
        ("weekly", "cron 0 0 * * 1 UTC"),
        ("monthly", "cron 0 0 1 * * UTC"),
        ("90m", "every 90m"),
        ("15 4 * * *", "cron 15 4 * * * UTC"),
    ],
)
def test_an_audience_without_a_schedule_goes_by_its_connection(load: Load, sync_schedule: str, meaning: str) -> None:
    (connection,) = load("{every: 5m}", sync_schedule).connections
    assert text(effective(Schedule(), connection.sync_schedule)) == meaning
    assert text(effective(Schedule(every="5m"), connection.sync_schedule)) == "every 5m"


def test_a_bad_schedule_of_a_connection_is_named(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load("{every: 5m}", "fortnightly")
    assert "bridge.yaml:5:5 (connections.0.sync_schedule): a cron line has five fields" in str(caught.value)
    assert "Write hourly, daily, weekly, monthly, an interval such as 15m" in str(caught.value)
