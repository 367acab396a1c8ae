"""One segment at three platforms: read once, told to all, and each waits for its own platform only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Activation, Bridge, CDPConnection, DataMapping, DestinationAccount, SyncLog
from cdp_bridge.store import Store
from cdp_bridge.sync.reading import ReadTicket
from cdp_bridge.sync.run import open_run
from cdp_bridge.sync.run_group import run_group
from cdp_bridge.testing.configuring import configure

PLATFORMS = ("meta", "tiktok", "google")
TOO_MANY = {"code": 40100, "message": "Too many requests. Please retry in some time.", "request_id": "1", "data": {}}
MINUTE = 60
SETTINGS: dict[str, dict[str, Any]] = {
    "meta": {"access_token": "sandbox-token", "ad_account_id": "act_1001"},
    "tiktok": {"access_token": "sandbox-token", "advertiser_id": "7000000000000000001"},
    "google": {
        "credentials": {"type": "access_token", "access_token": "sandbox-token"},
        "operating_account": {"account_id": "1234567890"},
        "customer_match_terms": True,
        "ad_user_data": "granted",
        "ad_personalization": "granted",
    },
}
FIELDS = {"user_id": "canonical_segment_id", "email": "identifiers.email", "phone": "identifiers.phone"}

Until = Callable[[Callable[[], Any]], Any]


class Fan:
    """Three audiences of one segment, on a store of their own whose clock goes on by what a run waits."""

    def __init__(self, harness: Any, store: Store, sleep: Callable[[str, float], None]) -> None:
        self.harness, self.store, self._sleep = harness, store, sleep
        space = {"public_api_token": "sandbox-papi-token", "base_url": harness.twins.segment}
        space["warehouse"] = {"url": harness.environment["SEGMENT_WAREHOUSE"]}
        configure(
            self.store,
            Bridge(
                connections=(CDPConnection(name="segment", cdp_provider="source-segment", api_credentials=space),),
                destinations=tuple(
                    DestinationAccount(
                        name=name,
                        connector=f"destination-{name}",
                        settings=SETTINGS[name] | {"base_url": getattr(harness.twins, name)},
                    )
                    for name in PLATFORMS
                ),
                mappings={"people": tuple(DataMapping(omniads_field=a, cdp_field=b) for a, b in FIELDS.items())},
                audiences=tuple(
                    Activation(name=name, connection="segment", segment="everyone", destination=name, mapping="people")
                    for name in PLATFORMS
                ),
            ),
        )

    def sync(self) -> dict[str, SyncLog]:
        jobs = [partial(self._run, one) for one in self.store.bridge().audiences]
        return {log.audience: log for log in run_group(jobs, threading.Event())}

    def reads(self) -> int:
        """How often Segment was asked which audience to read."""
        (journal,) = self.harness.ask(f"{self.harness.twins.segment}/_twin/requests")
        return sum(count for route, count in journal["routes"].items() if route.endswith("/audiences"))

    def held(self, name: str) -> int:
        """How many of its own people a platform holds."""
        mine = self.store.audience_ref(name)
        (audiences,) = self.harness.ask(f"{getattr(self.harness.twins, name)}/_twin/audiences")
        return sum(one["held_people"] for one in audiences if mine and one["id"] == mine.id)

    def statuses(self) -> dict[str, str]:
        """The newest run of each audience that has one, as it is recorded."""
        return {name: log.status for name, log in self.store.last_runs(PLATFORMS).items()}

    def _run(self, activation: Activation, ticket: ReadTicket) -> SyncLog:
        sleep = partial(self._sleep, activation.name)
        with open_run(self.store, Registry(), activation, sleep=sleep, ticket=ticket) as run:
            return run.sync()


@pytest.fixture
def fan(harness: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Fan]]:
    """Function: the three audiences; `waiting` is called by whoever waits, before the time has passed."""
    monkeypatch.setattr("cdp_bridge.sync.session.LEASE_SECONDS", 1e6)
    passed: list[float] = []
    harness.ask(f"{harness.twins.google}/_twin/config", {"processing": 0})
    with Store.open(f"sqlite:///{tmp_path}/fan.db", clock=lambda: time.time() + sum(passed)) as store:

        def make(waiting: Callable[[str, float], None] = lambda *_: None) -> Fan:
            def sleep(name: str, seconds: float) -> None:
                waiting(name, seconds)
                passed.append(seconds)

            return Fan(harness, store, sleep)

        yield make
    harness.ask(f"{harness.twins.tiktok}/_twin/faults", method="DELETE")


def test_one_read_reaches_three_platforms(fan: Any) -> None:
    three = fan()
    before = three.reads()
    logs = three.sync()
    assert three.reads() == before + 1
    assert {log.status for log in logs.values()} <= {"succeeded", "partial"}
    assert len({log.funnel.in_segment for log in logs.values()}) == 1
    assert all(three.held(name) > 200 for name in PLATFORMS)
    # Google has said by now what became of what it took.
    logs = three.sync()
    assert three.reads() == before + 2
    assert [(log.status, log.membership_calls) for log in logs.values()] == [("succeeded", 0)] * 3


def test_a_platform_that_refuses_for_a_minute_delays_only_itself(fan: Any, harness: Any, until: Until) -> None:
    slept: list[float] = []
    others = [name for name in PLATFORMS if name != "tiktok"]

    def waiting(name: str, seconds: float) -> None:
        """Nobody else waits; this run goes on once the others are at their end, and the fault once a minute is over."""
        assert name == "tiktok"
        until(lambda: all(three.statuses().get(one) in ("succeeded", "partial") for one in others))
        assert three.statuses()["tiktok"] == "running"
        assert (three.held("tiktok"), *(three.held(one) > 200 for one in others)) == (0, True, True)
        slept.append(seconds)
        if sum(slept) >= MINUTE:
            harness.ask(f"{harness.twins.tiktok}/_twin/faults", method="DELETE")

    three = fan(waiting)
    fault = {
        "kind": "status",
        "status": 200,
        "body": TOO_MANY,
        "times": None,
        "match": {"path_regex": "segment/mapping"},
    }
    harness.ask(f"{harness.twins.tiktok}/_twin/faults", [fault])
    before = three.reads()
    logs = three.sync()
    assert logs["tiktok"].status == "succeeded", logs["tiktok"].error
    assert sum(slept) >= MINUTE
    assert three.held("tiktok") > 200
    assert three.reads() == before + 1
