"""Whatever a destination does wrong, each run tells the truth, and some runs later both sides are equal."""

from __future__ import annotations

import csv
import hashlib
import random
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Activation, Bridge, CDPConnection, DataMapping, DeadLetter, DestinationAccount, SyncLog
from cdp_bridge.staging.packing import unpack
from cdp_bridge.store import Store
from cdp_bridge.store.window import Window
from cdp_bridge.sync.run import open_run
from cdp_bridge.testing.configuring import configure
from destination_chaos import held

NAME = "vip"
PEOPLE, MANY = 130, 15
SEED, MAX_RUNS = 1, 20
Held = dict[str, dict[str, list[str]]]


class SyncHarness:
    """A file of people, and a bridge from it to a destination whose faults can be set anew; waiting costs nothing."""

    store: Store

    def __init__(self, folder: Path, registry: Registry) -> None:
        self._folder, self._registry, self.waited = folder, registry, 0.0
        self.people = {f"u{number}": f"u{number}@example.com" for number in range(PEOPLE)}
        self.faults: dict[str, Any] = {}

    def clock(self) -> float:
        return time.time() + self.waited

    def sleep(self, seconds: float) -> None:
        self.waited += seconds

    def sync(self) -> SyncLog:
        """One run with the real connectors; it is honest."""
        file, calls = self._folder / "people.csv", self.calls
        with file.open("w", newline="") as out:
            csv.writer(out).writerows([("id", "email"), *self.people.items()])
        bridge = _bridge({"path": str(file)}, {"path": str(self._folder)} | self.faults)
        configure(self.store, bridge)
        with open_run(self.store, self._registry, bridge.audiences[0], sleep=self.sleep) as run:
            log = run.sync()
        assert log.membership_calls == self.calls - calls
        self._assert_honest(log)
        return log

    def churn(self) -> None:
        """Some leave, some come, some have another address."""
        for number in range(MANY):
            del self.people[f"u{number}"]
            self.people[f"new{number}"] = f"new{number}@example.com"
            self.people[f"u{number + MANY}"] = f"other{number}@example.com"

    def sync_until_nothing_is_left(self) -> SyncLog:
        """The first run that finds nothing to do."""
        for _ in range(MAX_RUNS):
            log = self.sync()
            if log.status == "succeeded" and not log.membership_calls:
                return log
        raise AssertionError(f"{MAX_RUNS} runs were not enough: {log}")

    def _assert_honest(self, log: SyncLog) -> None:
        """Whom the bridge calls accepted is in, whoever is in is known to the bridge, and the log counts the rest."""
        there, accepted, doubtful = self.held, self.ledger(), self.ledger(in_doubt=True)
        under_way = {key.hex() for one in self.store.deliveries(NAME) for key, *_ in one.members}
        for key in accepted.keys() - under_way:
            assert there.get(key) == accepted[key]
        assert there.keys() <= accepted.keys() | doubtful.keys() | under_way
        if log.status == "failed":
            assert log.error
            return
        assert log.funnel.accepted == len(accepted)
        new = sum(letter.created_at >= log.sync_timestamp for letter in self.dead_letters())
        # Who is refused late, changes, and is refused again, is counted twice.
        assert new <= log.rejected <= 2 * new
        assert log.unknown >= len((doubtful.keys() | under_way) - self.dead)
        assert (log.status == "partial") == bool(log.errors or log.unknown)

    def assert_equal(self, log: SyncLog) -> None:
        """Everybody of the segment is in as they are, but for those who are dead letters, and nobody else."""
        wanted = {self.key(one): {"email": [_sha256(email)]} for one, email in self.people.items()}
        alive = {key: identifiers for key, identifiers in wanted.items() if key not in self.dead}
        assert self.held == self.ledger() == alive
        assert self.ledger(in_doubt=True).keys() <= self.dead
        assert self.store.deliveries(NAME) == []
        assert log.funnel.accepted == len(alive)
        assert {letter.reason for letter in self.dead_letters()} == self.reasons

    @property
    def held(self) -> Held:
        (people,) = held(str(self._folder)).values() or ({},)
        return people

    def ledger(self, *, in_doubt: bool = False) -> Held:
        """By member key, what the ledger says is in for sure, or may be."""
        members = (one for chunk in self.store.ledger.members(NAME) for one in chunk)
        found = (one for one in members if (one.outcome == "accepted" and one.fingerprint != b"") != in_doubt)
        return {one.member_key.hex(): _plain(one.identifiers) for one in found}

    def dead_letters(self) -> list[DeadLetter]:
        return self.store.dead_letters.listed(NAME, window=Window(limit=None))

    @property
    def dead(self) -> set[str]:
        return {letter.member_key.hex() for letter in self.dead_letters()}

    @property
    def reasons(self) -> set[str]:
        """Why members should be dead letters."""
        return {f"chaos:{fault}" for fault in ("poison", "refused") if fault in self.faults}

    @property
    def calls(self) -> int:
        """How many writes the destination has seen, by its own count."""
        file = self._folder / "chaos.db"
        if not file.exists():
            return 0
        with closing(sqlite3.connect(file)) as base:
            return int(base.execute("SELECT number FROM call").fetchone()[0])

    def key(self, user_id: str) -> str:
        return hashlib.sha256((self.store.key("member").hex() + user_id).encode()).hexdigest()[:32]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture
def harness(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncHarness]:
    # Member keys decide whom a fault hits, so they are the same each time.
    monkeypatch.setattr(secrets, "token_bytes", random.Random(SEED).randbytes)
    # The thread that renews the lease knows nothing of the time that only seems to pass.
    monkeypatch.setattr("cdp_bridge.sync.session.LEASE_SECONDS", 1e6)
    harness = SyncHarness(tmp_path, registry)
    with Store.open(f"sqlite:///{tmp_path}/store.db", clock=harness.clock) as harness.store:
        yield harness


@pytest.mark.parametrize(
    "faults",
    [
        {"unavailable": 0.3, "retry_after": 5},
        {"lost_answers": 0.8, "seed": 1},  # so that the first run gives up
        {"poison": 0.1, "refused": 0.1},
        {"unknown": 0.2},
        {"pending": 1, "settled_after": 2},
        {"unauthorised_after": 1},
        {"bug_after": 1},
        {"unavailable": 0.3, "lost_answers": 0.3, "poison": 0.1, "refused": 0.1, "unknown": 0.1, "pending": 0.3},
    ],
    ids=" ".join,
)
def test_runs_repair_what_a_destination_does_wrong(harness: SyncHarness, faults: dict[str, Any]) -> None:
    harness.faults = faults
    harness.sync()
    harness.churn()
    harness.assert_equal(harness.sync_until_nothing_is_left())
    before, harness.faults = harness.held, {}
    log = harness.sync()
    assert (log.status, log.membership_calls) == ("succeeded", 0)
    assert harness.held == before


@pytest.mark.parametrize("faults", [{"pause": 90}, {"lost_answers": 0.5, "retry_after": 90, "seed": 11}], ids=str)
def test_a_run_stays_away_as_long_as_it_is_asked_to(harness: SyncHarness, faults: dict[str, Any]) -> None:
    harness.faults = faults
    log = harness.sync()
    assert (log.status, round(harness.waited)) == ("succeeded", 90)
    harness.assert_equal(log)


def _bridge(source: dict[str, Any], destination: dict[str, Any]) -> Bridge:
    fields = {"user_id": "id", "email": "email"}
    return Bridge(
        connections=(CDPConnection(name="cdp", cdp_provider="source-file", api_credentials=source),),
        destinations=(DestinationAccount(name="ads", connector="destination-chaos", settings=destination),),
        mappings={"people": tuple(DataMapping(omniads_field=to, cdp_field=field) for to, field in fields.items())},
        audiences=(
            Activation(
                name=NAME, connection="cdp", segment=NAME, destination="ads", mapping="people", removal_limit=1.0
            ),
        ),
    )


def _plain(packed: bytes) -> dict[str, list[str]]:
    values = unpack(packed).items()
    return {column: [one.hex() if isinstance(one, bytes) else one for one in many] for column, many in values}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
