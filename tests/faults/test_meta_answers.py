"""Whatever Meta answers, a run makes of it what the contract says, and one healthy run later both sides are equal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import SyncLog
from cdp_bridge.retry import retrying
from cdp_bridge.store import Store
from cdp_bridge.sync.run import open_run
from cdp_bridge.testing.configuring import configure

from tests.truth import Truth

PEOPLE, SEGMENT, NAME = 300, "everyone", "meta-everyone"
LIMIT, UNUSUAL = 60, 300
"""Seconds to stay away after a rate limit, and after "unusual volume" (where no header says otherwise)."""


class Account:
    """One ad account at the twin, with a bridge and a ledger of its own; waiting costs nothing."""

    def __init__(self, harness: Any, truth: Any, store: Store) -> None:
        self.harness, self.truth, self._store = harness, truth, store
        self.slept: list[float] = []
        self.number = 0

    def sync(self, **options: Any) -> SyncLog:
        """One run with the real connectors, in this process."""
        self.slept.clear()
        self.harness.ask(f"{self.harness.twins.meta}/_twin/requests", method="DELETE")
        (activation,) = self._store.bridge().audiences
        with open_run(self._store, Registry(), activation, sleep=self.sleep) as run:
            return run.sync(**options)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def fault(self, kind: str, path_regex: str = "/users$", **more: Any) -> None:
        match = {"path_regex": path_regex} | ({"method": more.pop("method")} if "method" in more else {})
        self.harness.meta("faults", [{"kind": kind, "match": match} | more])

    def fails(self, code: int, subcode: int | None = None, **more: Any) -> None:
        """An error envelope, once unless told otherwise."""
        error = {"code": code, "message": "(#1) jane@example.com said no", "fbtrace_id": "AbC1"}
        error |= {"error_subcode": subcode} if subcode else {}
        self.fault(more.pop("kind", "status"), status=more.pop("status", 400), body={"error": error}, **more)

    def configure(self, **patch: Any) -> None:
        self.harness.meta("config", patch)

    def some_leave(self) -> None:
        """Ten members opt out, so that the next run has removals."""
        self.number += 10
        members = list(self.truth.eligible(SEGMENT).values())[: self.number]
        opted_out = [entry.true for person in members for entry in person.emails]
        self.harness.suppress([*self.truth.population.suppressed, *opted_out])

    @property
    def membership_calls(self) -> int:
        routes = self.harness.meta("requests")["routes"]
        return sum(count for route, count in routes.items() if route.endswith("/users"))

    @property
    def audience_id(self) -> str:
        ref = self._store.audience_ref(NAME)
        assert ref is not None
        return ref.id

    def delete_audience(self) -> None:
        url = f"{self.harness.twins.meta}/v26.0/{self.audience_id}?access_token=sandbox-token"
        assert self.harness.ask(url, method="DELETE") == [{"success": True}]

    def assert_filled(self) -> None:
        """The platform has exactly what the ledger has, and everybody who may be reached."""
        assert self.truth.differences(self.harness, SEGMENT) == []

    def assert_recovers(self) -> None:
        self.harness.ask(f"{self.harness.twins.meta}/_twin/faults", method="DELETE")
        log = self.sync()
        assert (log.status, log.error) == ("succeeded", "")
        self.assert_filled()
        assert self.sync().membership_calls == 0


@pytest.fixture(scope="module")
def harness(bridge_sandbox_of_small_batches: Any) -> Iterator[Any]:
    with bridge_sandbox_of_small_batches(PEOPLE, SEGMENT) as harness:
        yield harness


@pytest.fixture
def account(harness: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name in ("SEGMENT_TOKEN", "SEGMENT_WAREHOUSE", "META_TOKEN"):
        monkeypatch.setenv(name, harness.environment[name])
    url = f"sqlite:///{tmp_path}/store.db"
    truth = Truth(PEOPLE)
    own = replace(harness, environment=harness.environment | {"CDP_BRIDGE_STORE": url})
    own.suppress(truth.population.suppressed)
    passed = 0.0
    with harness.store() as configured, Store.open(url, clock=lambda: time.time() + passed) as store:
        configure(store, configured.bridge())
        account = Account(own, truth, store)

        def sleep(seconds: float) -> None:
            nonlocal passed
            passed += seconds
            account.slept.append(seconds)
            own.ask(f"{own.twins.segment}/_twin/clock", {"advance": seconds})
            own.meta("clock", {"advance": seconds})

        monkeypatch.setattr(account, "sleep", sleep)
        monkeypatch.setattr(time, "sleep", sleep)
        monkeypatch.setitem(retrying.__kwdefaults__ or {}, "sleep", sleep)
        # The thread that renews the lease knows nothing of the time that only seems to pass.
        monkeypatch.setattr("cdp_bridge.sync.session.LEASE_SECONDS", 1e6)
        yield account
    harness.ask(f"{harness.twins.meta}/_twin/faults", method="DELETE")
    account.configure(
        tokens={"sandbox-token": {"calls_left": None}},
        accounts={"1001": {"terms_accepted": True, "user_terms_accepted": True}},
        create_lag=0,
    )


@pytest.mark.parametrize(
    ("code", "subcode", "wait"),
    [
        (1, None, 0),
        (2, None, 0),
        (4, None, LIMIT),
        (17, 2446079, LIMIT),
        (32, None, LIMIT),
        (341, None, LIMIT),
        (613, None, LIMIT),
        (613, 1996, UNUSUAL),
        (80003, None, LIMIT),
        (2650, 1870145, LIMIT),
        (104, None, 0),
        (960, None, 0),
    ],
)
def test_a_passing_failure_is_waited_out_within_the_run(account: Account, code: int, subcode: int, wait: float) -> None:
    account.fails(code, subcode, after=1)
    log = account.sync()
    assert (log.status, log.errors) == ("succeeded", 0)
    assert log.membership_calls == account.membership_calls
    assert len(account.slept) >= 1
    assert max(account.slept) >= wait
    account.assert_filled()
    assert account.sync().membership_calls == 0


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("status", {"status": 500}),
        ("status", {"status": 503, "headers": {"Retry-After": "7"}}),
        ("status", {"status": 200, "body": {"error": {"code": 1, "message": "an unknown error occurred"}}}),
        ("reset", {}),
        ("accepted_then_reset", {}),
        ("accepted_then_error", {"body": {"error": {"code": 2, "is_transient": True, "message": "later"}}}),
        ("broken_json", {}),
        ("slow", {"seconds": 0.1, "drip": True}),
    ],
)
def test_an_answer_that_does_not_tell_is_asked_for_again(
    account: Account, method: str, kind: str, more: dict[str, Any]
) -> None:
    if method == "DELETE":
        account.sync()
        account.some_leave()
    account.fault(kind, method=method, **more)
    log = account.sync()
    assert (log.status, log.unknown, log.rejected) == ("succeeded", 0, 0)
    if method == "POST":
        account.assert_filled()
    held = {one["id"]: one for one in account.harness.meta("audiences")}[account.audience_id]
    # A batch that is repeated in its session counts once.
    assert held["rows_invalid"] == 0
    assert account.sync().membership_calls == 0


@pytest.mark.parametrize(
    ("code", "subcode", "words"),
    [
        (190, 463, "the access token has expired"),
        (190, 460, "the password changed"),
        (190, None, "the access token is not valid any more"),
        (200, None, "the access token lacks a permission"),
        (10, None, "the access token lacks a permission"),
        (2655, None, "the custom audience terms were not accepted"),
        (100, 1713230, "Meta flagged this audience"),
        (2650, None, "the audience does not take this kind of upload"),
    ],
)
def test_what_a_person_must_mend_stops_at_once(account: Account, code: int, subcode: int, words: str) -> None:
    account.fails(code, subcode, after=1, times=None)
    log = account.sync()
    assert log.status == "failed"
    assert words in log.error
    assert "jane" not in log.error
    assert account.membership_calls == 2
    account.assert_recovers()


def test_a_token_revoked_on_the_way(account: Account) -> None:
    account.sync()
    account.harness.ask(
        f"{account.harness.twins.meta}/v26.0/{account.audience_id}?access_token=sandbox-token", None, "DELETE"
    )
    account.some_leave()
    # Enough for finding out that the audience is gone and making another, and for one batch.
    account.configure(tokens={"sandbox-token": {"calls_left": 6}})
    log = account.sync()
    assert log.status == "failed"
    assert "access token" in log.error
    account.configure(tokens={"sandbox-token": {"calls_left": None}})
    log = account.sync()
    assert log.status == "succeeded"
    assert account.sync().membership_calls == 0


def test_an_audience_flagged_for_integrity(account: Account) -> None:
    account.sync()
    account.harness.meta(f"audiences/{account.audience_id}", {"operation_status": 471})
    account.harness.suppress(account.truth.population.suppressed[1::2])
    log = account.sync()
    assert log.status == "failed"
    assert "flagged this audience for integrity" in log.error
    assert "neutral name" in log.error
    assert account.membership_calls == 0
    account.harness.meta(f"audiences/{account.audience_id}", {"operation_status": None})
    account.harness.suppress(account.truth.population.suppressed)
    account.assert_recovers()


def test_an_audience_flagged_while_it_is_filled(account: Account) -> None:
    account.fails(2, after=1, times=None)
    account.sync()
    account.harness.ask(f"{account.harness.twins.meta}/_twin/faults", method="DELETE")
    account.harness.meta(f"audiences/{account.audience_id}", {"operation_status": 471, "after": 1})
    log = account.sync()
    assert log.status == "failed"
    assert "flagged" in log.error
    account.harness.meta(f"audiences/{account.audience_id}", {"operation_status": None})
    account.assert_recovers()


@pytest.mark.parametrize("whose", ["terms_accepted", "user_terms_accepted"])
def test_terms_that_were_not_accepted(account: Account, whose: str) -> None:
    account.configure(accounts={"1001": {whose: False}})
    log = account.sync()
    assert log.status == "failed"
    assert "https://business.facebook.com/ads/manage/customaudiences/tos/" in log.error
    account.configure(accounts={"1001": {whose: True}})
    account.assert_recovers()


def test_a_deleted_audience_is_filled_anew(account: Account) -> None:
    account.sync()
    before = account.audience_id
    account.delete_audience()
    account.some_leave()
    log = account.sync()
    assert (log.status, log.removes) == ("succeeded", 0)
    assert account.audience_id != before
    account.harness.suppress(account.truth.population.suppressed)
    account.assert_recovers()


def test_a_batch_taken_in_part_is_sent_again(account: Account) -> None:
    account.fault("partial", rows=10)
    log = account.sync()
    assert log.status == "partial"
    assert log.unknown > 50
    assert log.rejected == 0
    account.assert_recovers()


def test_a_batch_refused_once_arrives_in_two_halves(account: Account) -> None:
    account.fails(100)
    log = account.sync()
    assert (log.status, log.rejected) == ("succeeded", 0)
    account.assert_filled()


def test_a_batch_too_large_arrives_in_pieces(account: Account) -> None:
    account.fault("status", status=413, times=3)
    log = account.sync()
    assert (log.status, log.rejected) == ("succeeded", 0)
    account.assert_filled()


def test_a_platform_that_is_down_loses_nobody(account: Account) -> None:
    account.fault("status", status=500, after=1, times=None)
    log = account.sync()
    assert log.status == "failed"
    assert "page instead of JSON" in log.error
    assert len(account.slept) >= 7
    account.assert_recovers()


def test_a_redirect_is_not_followed(account: Account) -> None:
    account.fault("redirect")
    log = account.sync()
    assert log.status == "failed"
    assert "redirect" in log.error
    account.assert_recovers()


@pytest.mark.parametrize("kind", ["accepted_then_reset", "accepted_then_error", "status", "reset"])
def test_a_create_that_does_not_tell_makes_one_audience(account: Account, kind: str) -> None:
    before = {one["id"] for one in account.harness.meta("audiences")}
    account.fault(kind, "/customaudiences$", method="POST")
    assert account.sync().status == "succeeded"
    assert len({one["id"] for one in account.harness.meta("audiences")} - before) == 1
    account.assert_filled()


def test_an_audience_that_is_late_to_appear(account: Account) -> None:
    account.configure(create_lag=2)
    assert account.sync().status == "succeeded"
    account.assert_filled()
