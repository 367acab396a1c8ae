"""Whoever leaves, withdraws consent, asks to be forgotten or changes goes from every audience that has them."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import sandbox
from cdp_bridge.configuration import load
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.store import Store
from cdp_bridge.sync.run import open_run
from cdp_bridge.testing.configuring import configure
from sandbox.trial import Controlled

SEGMENTS = ("vip", "buyers")
BRIDGE = """\
connections:
  - name: files
    cdp_provider: source-file
    api_credentials: {{path: "{folder}/people.csv", segment_column: segment}}
destinations:
  - name: meta
    connector: destination-meta
    settings: {{access_token: env:TOKEN, ad_account_id: act_1001, base_url: {meta}}}
  - name: tiktok
    connector: destination-tiktok
    settings: {{access_token: env:TOKEN, advertiser_id: "7000000000000000001", base_url: {tiktok}}}
mappings:
  people:
    - {{omniads_field: user_id, cdp_field: id}}
    - {{omniads_field: email, cdp_field: email}}
    - {{omniads_field: email, cdp_field: second_email}}
    - {{omniads_field: phone, cdp_field: phone}}
suppressions: ["{folder}/forgotten.txt"]
audiences:
"""
AUDIENCE = """\
  - name: {destination}-{segment}
    connection: files
    segment: {segment}
    destination: {destination}
    mapping: people
    consent: [{{purpose: advertising, cdp_field: consent}}]
"""
EMAIL = {"meta": "EMAIL", "tiktok": "EMAIL_SHA256"}


class SyncHarness:
    """Twenty people of whom everybody is in all segments, and both platforms."""

    def __init__(self, twins: sandbox.Sandbox, folder: Path) -> None:
        self.folder = folder
        self.people = {f"u{n}": person(n) for n in range(20)}
        self.twins = {"meta": Controlled(twins.meta), "tiktok": Controlled(twins.tiktok)}
        self.registry = Registry(entry_points(group="cdp_bridge"))
        self.store = Store.open(f"sqlite:///{folder}/store.db")
        both = [AUDIENCE.format(destination=one, segment=segment) for one in self.twins for segment in SEGMENTS]
        text = BRIDGE.format(folder=folder, meta=twins.meta, tiktok=twins.tiktok)
        (folder / "bridge.yaml").write_text("".join([text, *both]))
        self.forget()
        configure(self.store, load(folder / "bridge.yaml", self.registry))

    def forget(self, *entries: str) -> None:
        (self.folder / "forgotten.txt").write_text("\n".join(entries))

    def sync(self) -> None:
        rows = [one | {"segment": segment} for one in self.people.values() for segment in one["segments"]]
        with (self.folder / "people.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, [*rows[0]])
            writer.writeheader()
            writer.writerows(rows)
        for activation in self.store.bridge().audiences:
            with open_run(self.store, self.registry, activation) as run:
                log = run.sync()
            assert log.status == "succeeded", log.error

    def emails(self, destination: str, segment: str) -> set[str]:
        """The digests of addresses that the platform holds."""
        ref = self.store.audience_ref(f"{destination}-{segment}")
        assert ref is not None
        rows = self.twins[destination].rows(ref.id)
        return {row[EMAIL[destination]] for row in rows if EMAIL[destination] in row}

    def audiences_with(self, address: str) -> list[str]:
        digest = hashlib.sha256(address.encode()).hexdigest()
        return [f"{one}-{segment}" for one in self.twins for segment in SEGMENTS if digest in self.emails(one, segment)]


def person(number: int) -> dict[str, Any]:
    return {
        "id": f"u{number}",
        "email": f"first{number}@example.com",
        "second_email": f"second{number}@example.com",
        "phone": f"+49151{number:08}",
        "consent": "yes",
        "segments": SEGMENTS,
    }


@pytest.fixture(scope="module")
def twins() -> Iterator[sandbox.Sandbox]:
    with sandbox.running(people=0) as running:
        yield running


@pytest.fixture
def harness(twins: sandbox.Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncHarness]:
    monkeypatch.setenv("TOKEN", "sandbox-token")
    harness = SyncHarness(twins, tmp_path)
    harness.sync()
    yield harness
    harness.store.close()


ALL = [f"{destination}-{segment}" for destination in ("meta", "tiktok") for segment in SEGMENTS]
OWN = ("first7@example.com", "second7@example.com")


def test_everybody_is_everywhere_by_all_addresses(harness: SyncHarness) -> None:
    assert [harness.audiences_with(address) for address in OWN] == [ALL, ALL]


def test_whoever_leaves_a_segment_leaves_its_audiences_and_no_others(harness: SyncHarness) -> None:
    harness.people["u7"]["segments"] = ("vip",)
    harness.sync()
    assert [harness.audiences_with(address) for address in OWN] == [["meta-vip", "tiktok-vip"]] * 2


def test_whoever_is_deleted_in_the_cdp_leaves_all(harness: SyncHarness) -> None:
    del harness.people["u7"]
    harness.sync()
    assert [harness.audiences_with(address) for address in OWN] == [[], []]
    assert harness.audiences_with("first8@example.com") == ALL


def test_whoever_withdraws_consent_leaves_all(harness: SyncHarness) -> None:
    harness.people["u7"]["consent"] = "no"
    harness.sync()
    assert [harness.audiences_with(address) for address in OWN] == [[], []]


@pytest.mark.parametrize("entry", [*OWN, "+4915100000007"])
def test_whoever_is_to_be_forgotten_leaves_all_by_whatever_is_named(harness: SyncHarness, entry: str) -> None:
    harness.forget(entry)
    harness.sync()
    assert [harness.audiences_with(address) for address in OWN] == [[], []]
    assert harness.audiences_with("first8@example.com") == ALL


def test_an_old_address_leaves_all_when_there_is_a_new_one(harness: SyncHarness) -> None:
    harness.people["u7"]["email"] = "new7@example.com"
    harness.sync()
    assert [harness.audiences_with(address) for address in (*OWN, "new7@example.com")] == [[], ALL, ALL]
