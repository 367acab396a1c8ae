"""Two schedulers on one store, killed fifty times on each database: no slot missed or doubled, no two runs at once."""

import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

from cdp_bridge.entities import Schedule
from cdp_bridge.schedule import Scheduler
from cdp_bridge.schedule.timetable import Timetable
from cdp_bridge.schedule.when import slots
from cdp_bridge.store import Store
from cdp_bridge.testing.configuring import configure

from .conftest import MakeBridge

KILLS = 50
START = datetime.fromisoformat("2026-03-28T00:00:00+00:00")
BERLIN = "Europe/Berlin"
SCHEDULES = {
    "hourly": Schedule(every="1h", catch_up="all"),
    "spread": Schedule(every="30m", catch_up="all", jitter="20m"),
    "nightly": Schedule(cron="30 2,14 * * *", time_zone=BERLIN, catch_up="all"),
    "often": Schedule(cron="*/20 * * * *", time_zone=BERLIN, catch_up="all"),
}


def overlaps(log: list[str]) -> list[str]:
    """Runs that ended, or began by an older token, after another one of their audience had begun."""
    newest: dict[str, int] = {}
    found = []
    for line in log:
        audience, token, what = line.split()
        if int(token) < newest.get(audience, 0) or (what == "begins" and int(token) == newest.get(audience)):
            found.append(line)
        newest[audience] = max(int(token), newest.get(audience, 0))
    return found


def test_kills_cost_no_slot_and_double_none(store_url: str, bridge: MakeBridge, tmp_path: Path) -> None:
    with Store.open(store_url) as store:
        configure(store, bridge(SCHEDULES))
        Scheduler(store).tick(START)
    script = Path(__file__).with_name("killing.py")
    command = [sys.executable, str(script), store_url, str(KILLS), "log"]
    end = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    with Store.open(store_url) as store:
        requests = store.requests.newest(limit=100_000)
    assert Counter(request.state for request in requests) == {"succeeded": len(requests)}
    assert len(requests) >= 200, "too little traffic to prove anything"
    for audience, schedule in SCHEDULES.items():
        jitter = timedelta(minutes=20) if schedule.jitter else timedelta(0)
        timetable = Timetable(audience, slots(schedule), jitter=jitter, catch_up="all")
        expected = timetable.due(START, datetime.fromisoformat(end))
        asked = sorted(request.slot for request in requests if request.audience == audience and request.slot)
        assert asked == expected
    log = (tmp_path / "log").read_text().splitlines()
    assert overlaps(log) == []
    assert sum(line.endswith("ends") for line in log) >= len(requests)
