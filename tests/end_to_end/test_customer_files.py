"""An audience that is made from customer files follows its segment through hours of changes, waits and losses."""

from __future__ import annotations

import csv
import hashlib
import random
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import sandbox
from cdp_bridge.configuration import load
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import SyncLog
from cdp_bridge.store import Store
from cdp_bridge.sync.run import open_run
from cdp_bridge.testing.configuring import configure
from sandbox.trial import Controlled

ADVERTISER, HOUR = "7000000000000000001", 3_600
BRIDGE = """\
connections:
  - {{name: files, cdp_provider: source-file, api_credentials: {{path: "{folder}/people.csv"}}}}
destinations:
  - name: tiktok
    connector: destination-tiktok
    settings: {{access_token: env:TOKEN, advertiser_id: "7000000000000000001", base_url: {url}, upload: file}}
mappings:
  people:
    - {{omniads_field: user_id, cdp_field: id}}
    - {{omniads_field: email, cdp_field: email}}
audiences:
  - {{name: vip, connection: files, segment: vip, destination: tiktok, mapping: people, removal_limit: 1.0}}
"""


class SyncHarness:
    """Fifty people in a file, and an hour between two runs."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder, self.random = folder, random.Random(1)
        self.people = {n: f"p{n}@example.com" for n in range(50)}
        self.tiktok = Controlled(url)
        self.registry = Registry(entry_points(group="cdp_bridge"))
        self.store = Store.open(f"sqlite:///{folder}/store.db")
        (folder / "bridge.yaml").write_text(BRIDGE.format(folder=folder, url=url))
        configure(self.store, load(folder / "bridge.yaml", self.registry))

    def churn(self, hour: int) -> None:
        """Three leave, four come, and one has a new address."""
        for number in self.random.sample(sorted(self.people), 3):
            del self.people[number]
        self.people |= {number: f"p{number}@example.com" for number in range(100 * hour, 100 * hour + 4)}
        self.people[self.random.choice(sorted(self.people))] = f"new{hour}@example.com"

    def sync(self) -> SyncLog:
        with (self.folder / "people.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("id", "email"), *self.people.items()])
        with open_run(self.store, self.registry, self.store.bridge().audiences[0]) as run:
            log = run.sync()
        assert log.status in ("succeeded", "partial"), log.error
        self.tiktok.advance(HOUR)
        return log

    def calm(self) -> None:
        """Sync until there is nothing left to do."""
        assert any(self.sync().status == "succeeded" and not self.store.deliveries("vip") for _ in range(60))

    def delete(self) -> None:
        body = {"advertiser_id": ADVERTISER, "custom_audience_ids": [self.audience]}
        headers = {"Access-Token": "sandbox-token"}
        url = f"{self.tiktok.url}/open_api/v1.3/dmp/custom_audience/delete/"
        self.tiktok.http.post(url, json=body, headers=headers)

    @property
    def audience(self) -> str:
        (one,) = self.tiktok.audiences_of(ADVERTISER)
        return str(one["id"])

    def assert_equal(self) -> None:
        wanted = {hashlib.sha256(email.encode()).hexdigest() for email in self.people.values()}
        assert {row["EMAIL_SHA256"] for row in self.tiktok.rows(self.audience)} == wanted


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncHarness]:
    monkeypatch.setenv("TOKEN", "sandbox-token")
    with sandbox.running(people=0) as twins:
        harness = SyncHarness(twins.tiktok, tmp_path)
        harness.tiktok.configure(floor=0, app={"allow_list": False})
        yield harness
        harness.store.close()


@pytest.mark.parametrize(("processing", "file_life"), [(0, 24), (1, 24), (3, 24), (3, 2)])
def test_both_sides_are_equal_however_long_tiktok_computes(
    harness: SyncHarness, processing: int, file_life: int
) -> None:
    """Even where a file that waits is gone before it is its turn."""
    harness.tiktok.configure(processing=processing * HOUR, file_life=file_life * HOUR)
    for hour in range(4):
        harness.sync()
        harness.churn(hour + 1)
    harness.calm()
    harness.assert_equal()


def test_who_leaves_right_after_the_audience_was_made_is_out(harness: SyncHarness) -> None:
    harness.sync()
    harness.churn(1)
    harness.calm()
    harness.assert_equal()


@pytest.mark.parametrize("after", [1, 2, 5])
def test_a_deleted_audience_is_made_anew_with_everybody(harness: SyncHarness, after: int) -> None:
    for _ in range(after):
        harness.sync()
    harness.delete()
    harness.churn(1)
    harness.calm()
    harness.assert_equal()


def test_an_audience_that_tiktok_found_too_small_is_made_anew_until_it_is_not(harness: SyncHarness) -> None:
    harness.tiktok.configure(floor=1)
    for hour in range(4):
        harness.sync()
        harness.churn(hour + 1)
    harness.tiktok.configure(floor=0)
    harness.calm()
    harness.assert_equal()


def test_who_leaves_is_out_though_too_few_are_left(harness: SyncHarness) -> None:
    harness.calm()
    harness.tiktok.configure(floor=1)
    harness.churn(1)
    for _ in range(3):
        harness.sync()
    harness.tiktok.configure(floor=0)
    harness.calm()
    harness.assert_equal()
