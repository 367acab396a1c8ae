"""Whole runs against a Google that takes half an hour: nobody is lost, and nothing is sent before its time."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Activation, Bridge, CDPConnection, DataMapping, DestinationAccount, SyncLog
from cdp_bridge.store import Store
from cdp_bridge.sync.run import open_run
from cdp_bridge.testing.configuring import configure
from sandbox.trial import Clock

from .conftest import Account

HALF_AN_HOUR = 1_800


class Killed(BaseException):
    """Stands for the end of the process."""


class SyncHarness:
    """A file of people, in sync with one user list."""

    def __init__(self, store: Store, account: Any, file: Path, api: str) -> None:
        self.store, self.account, self.file, self.api = store, account, file, api
        self.people = {f"u{n}": f"u{n}@example.com" for n in range(5)}

    def sync(self, **settings: Any) -> SyncLog:
        """One run with what the file and the settings say now."""
        with self.file.open("w", newline="") as file:
            csv.writer(file).writerows([("id", "email"), *self.people.items()])
        source = {"path": str(self.file), "id_column": "id"}
        activation = Activation(name="vip", connection="cdp", segment="vip", destination="ads", mapping="people")
        bridge = Bridge(
            connections=(CDPConnection(name="cdp", cdp_provider="source-file", api_credentials=source),),
            destinations=(
                DestinationAccount(
                    name="ads", connector="destination-google", settings=self.account.raw(api=self.api, **settings)
                ),
            ),
            mappings={"people": (DataMapping(omniads_field="user_id", cdp_field="id"), EMAIL)},
            audiences=(activation,),
        )
        configure(self.store, bridge)
        with open_run(self.store, Registry(), activation) as run:
            return run.sync()

    def held(self) -> set[str]:
        """The identifiers in the list."""
        (audience,) = self.account.audiences()
        return set().union(*self.account.values(audience["id"]))


EMAIL = DataMapping(omniads_field="email", cdp_field="email")


@pytest.fixture(params=["data-manager", "google-ads"])
def harness(account: Account, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SyncHarness]:
    account.configure(processing=HALF_AN_HOUR, legacy_uploads=True)
    with Store.open(f"sqlite:///{tmp_path}/cdp-bridge.db") as store:
        yield SyncHarness(store, account, tmp_path / "people.csv", request.param)
    account.configure(processing=0, legacy_uploads=False)


def test_members_are_accepted_once_google_says_so(
    harness: SyncHarness, clock: Clock, digest: Callable[[object], str]
) -> None:
    log = harness.sync()
    assert (log.status, log.unknown, log.funnel.accepted, log.error) == ("partial", 5, 0, "")
    assert harness.sync().membership_calls == 0
    clock.advance(HALF_AN_HOUR)
    log = harness.sync()
    assert (log.status, log.membership_calls, log.funnel.accepted) == ("succeeded", 0, 5)
    assert harness.held() == {digest(email) for email in harness.people.values()}


def test_an_addition_waits_for_the_removal_before_it(
    harness: SyncHarness, clock: Clock, digest: Callable[[object], str]
) -> None:
    harness.sync()
    clock.advance(HALF_AN_HOUR)
    harness.sync()
    harness.people["u0"] = "new@example.com"
    assert harness.sync().membership_calls == 1
    assert harness.sync().membership_calls == 0
    clock.advance(HALF_AN_HOUR)
    assert harness.sync().membership_calls == 1
    clock.advance(HALF_AN_HOUR)
    log = harness.sync()
    assert (log.status, log.funnel.accepted) == ("succeeded", 5)
    assert harness.held() == {digest(email) for email in harness.people.values()}


@pytest.mark.parametrize("point", ["delivery_opened", "written", "delivery_closed"])
def test_a_death_between_sending_and_settling_loses_nobody(
    harness: SyncHarness, clock: Clock, digest: Callable[[object], str], monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    def die(name: str) -> None:
        if name == point:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("cdp_bridge.delivery.transfer.failpoint", die)
        with pytest.raises(Killed):
            harness.sync()
    for _ in range(4):
        log = harness.sync()
        clock.advance(HALF_AN_HOUR)
    assert (log.status, log.funnel.accepted) == ("succeeded", 5)
    assert harness.held() == {digest(email) for email in harness.people.values()}


def test_consent_that_is_missing_shows_in_the_funnel(harness: SyncHarness, clock: Clock) -> None:
    harness.sync(ad_user_data="denied")
    clock.advance(HALF_AN_HOUR)
    log = harness.sync(ad_user_data="denied")
    reasons = {"data-manager": {"google:DENIED_CONSENT": 5}, "google-ads": {"google:FAILED": 1}}
    assert log.funnel.platform_reasons == reasons[harness.api]
    assert (log.status, log.funnel.accepted, harness.held()) == ("partial", 0, set())
    clock.advance(HALF_AN_HOUR)
    harness.sync()
    clock.advance(HALF_AN_HOUR)
    assert harness.sync().funnel.accepted == 5
