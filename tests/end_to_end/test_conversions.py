"""Events in a file reach three platforms, each once, whatever happens on the way; those of people who have not
consented or have opted out reach none.
"""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from sandbox.people import Person, generate
from sandbox.trial import Controlled

PEOPLE, EVENTS, MORE, HALF_AN_HOUR = 300, 300, 20, 1_800
BRIDGE = """\
connections:
  - {{name: orders, cdp_provider: source-file, api_credentials: {{path: orders.jsonl}}}}
destinations:
  - name: meta
    connector: destination-meta
    settings: {{access_token: env:META_TOKEN, ad_account_id: act_1001, dataset_id: "2001", base_url: {meta}}}
  - name: google
    connector: destination-google
    settings:
      credentials: {{type: access_token, access_token: env:GOOGLE_TOKEN}}
      operating_account: {{account_id: "1234567890"}}
      ad_user_data: granted
      ad_personalization: granted
      conversion_actions: {{purchase: "7631611119", lead: "7631611120"}}
      base_url: {google}
  - name: tiktok
    connector: destination-tiktok
    settings:
      access_token: env:TIKTOK_TOKEN
      advertiser_id: "7000000000000000001"
      event_source_id: C4A1SANDBOXPIXEL
      base_url: {tiktok}
mappings:
  orders:
    - {{omniads_field: event_id, cdp_field: id}}
    - {{omniads_field: event_name, cdp_field: name}}
    - {{omniads_field: occurred_at, cdp_field: at}}
    - {{omniads_field: email, cdp_field: email}}
    - {{omniads_field: value, cdp_field: total}}
    - {{omniads_field: currency, cdp_field: currency}}
    - {{omniads_field: url, cdp_field: url}}
    - {{omniads_field: user_agent, cdp_field: agent, policy: clear}}
suppressions: [opted_out.csv]
conversions:
"""
FEED = """\
  - name: {name}-orders
    connection: orders
    destination: {name}
    mapping: orders
    consent: [{{purpose: advertising, cdp_field: consent}}]
"""
PLATFORMS = ("meta", "google", "tiktok")
OF_SOME = {"hashed", "invalid"}
"""Forms of addresses that some platforms can recognise, and others not."""
FEEDS = [f"{platform}-orders" for platform in PLATFORMS]


class Shop:
    """What people have ordered, and three platforms that are told of it."""

    def __init__(self, harness: Any) -> None:
        self.harness = harness
        self.twins = {name: Controlled(getattr(harness.twins, name)) for name in PLATFORMS}
        self.people = [one for one in generate(PEOPLE, 1) if not OF_SOME & {entry.form for entry in one.emails[:1]}]
        self.events: list[dict[str, Any]] = []
        self.wanted: dict[str, str] = {}
        """By the id of each event that may be told, who it was."""

    def order(self, count: int) -> set[str]:
        """So many more events in the file; the ids of those that may be told."""
        before = set(self.wanted)
        for number in range(len(self.events), len(self.events) + count):
            person = self.people[number % len(self.people)]
            event = {
                "id": f"order-{number}",
                "name": "lead" if number % 5 == 0 else "purchase",
                "at": time.time() - 60 * (number + 1),
                "email": person.emails[0].raw if person.emails else None,
                "total": 10 + number,
                "currency": "EUR",
                "url": "https://shop.example/thanks",
                "agent": "Mozilla/5.0",
                "consent": person.traits.get("consent_advertising"),
            }
            self.events.append(event)
            if may_be_told(person):
                self.wanted[f"order-{number}"] = person.human_id
        self.harness.write("".join(json.dumps(event) + "\n" for event in self.events), "orders.jsonl")
        return self.wanted.keys() - before

    def sync(self, *names: str) -> dict[str, Any]:
        """A run of each feed, by its name."""
        ended = self.harness.bridge("sync", *(names or ["--all"]), "--json")
        assert ended.code == 0, ended.err + ended.out
        return {log["audience"]: log for log in ended.json}

    def told(self, platform: str) -> list[dict[str, Any]]:
        """The events that a platform has got, those that it has got before too."""
        return self.twins[platform].lines("events")

    def counts(self, platform: str) -> Counter[str]:
        """How often the platform has got each event."""
        return Counter(identity(event) for event in self.told(platform))

    def assert_each_counts_once(self) -> None:
        for platform in PLATFORMS:
            counted = {identity(one): one["person_id"] for one in self.told(platform) if not one["duplicate"]}
            assert len(counted) == sum(not one["duplicate"] for one in self.told(platform))
            assert counted == self.wanted


def may_be_told(person: Person) -> bool:
    """Of whom the platforms may hear, and whom all of them can recognise."""
    return bool(person.consent and not person.suppressed and person.emails and person.emails[0].recoverable)


def identity(event: dict[str, Any]) -> str:
    """The id under which an event was told; Google calls it a transaction."""
    return str(event.get("event_id") or event["transaction_id"])


@pytest.fixture(scope="module")
def shop(bridge_sandbox: Any) -> Iterator[Shop]:
    """A shop with its feeds applied; nothing was told yet."""
    with bridge_sandbox(PEOPLE, "everyone") as harness:
        twins = harness.twins
        shop = Shop(harness)
        shop.twins["google"].configure(conversion_actions={"7631611120": {"account": "1234567890", "name": "Lead"}})
        shop.order(EVENTS)
        text = BRIDGE.format(meta=twins.meta, google=twins.google, tiktok=twins.tiktok)
        harness.apply(text + "".join(FEED.format(name=name) for name in PLATFORMS))
        yield shop
        for twin in shop.twins.values():
            twin.close()


def test_a_dry_run_shows_a_request_and_tells_nobody(shop: Shop) -> None:
    shown = shop.harness.bridge("sync", "--all", "--dry-run", "--json").json
    assert [one["audience"] for one in shown] == FEEDS
    for one, key in zip(shown, ("event_id", "transactionId", "event_id"), strict=True):
        assert one["adds"] == len(shop.wanted)
        (sent,) = [value for value in one["sample"]["json"].values() if isinstance(value, list) and key in value[0]]
        assert sent[0][key] in shop.wanted
    assert [shop.told(platform) for platform in PLATFORMS] == [[], [], []]


def test_each_event_is_told_once(shop: Shop) -> None:
    assert all(log["adds"] == len(shop.wanted) for log in shop.sync().values())
    shop.assert_each_counts_once()
    for _ in range(2):
        shop.twins["google"].advance(HALF_AN_HOUR)
        logs = shop.sync()
        assert [log["membership_calls"] for log in logs.values()] == [0, 0, 0]
    assert {log["status"] for log in logs.values()} == {"succeeded"}
    assert {log["funnel"]["accepted"] for log in logs.values()} == {len(shop.wanted)}
    assert all(shop.counts(platform) == Counter(shop.wanted.keys()) for platform in PLATFORMS)


def test_nobody_is_told_of_who_did_not_want_it(shop: Shop) -> None:
    """There are such people, and none of their events arrived."""
    people = [shop.people[number % len(shop.people)] for number in range(len(shop.events))]
    denied = {f"order-{n}" for n, person in enumerate(people) if not person.consent}
    suppressed = {f"order-{n}" for n, person in enumerate(people) if person.suppressed}
    assert denied
    assert suppressed
    assert all(not shop.counts(platform).keys() & (denied | suppressed) for platform in PLATFORMS)


def test_of_new_events_only_those_are_told(shop: Shop) -> None:
    before = {platform: shop.counts(platform) for platform in PLATFORMS}
    new = shop.order(MORE)
    assert 0 < len(new) < MORE
    assert {log["adds"] for log in shop.sync().values()} == {len(new)}
    assert all(shop.counts(platform) - before[platform] == Counter(new) for platform in PLATFORMS)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_batch_that_nobody_heard_of_again_is_told_again_under_its_ids(shop: Shop, platform: str) -> None:
    before = shop.counts(platform)
    new, name = shop.order(MORE), f"{platform}-orders"
    killed = shop.harness.start("sync", name, CDP_BRIDGE_FAILPOINT="written")
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert shop.counts(platform) - before == Counter(new)
    shop.sync()
    again = shop.counts(platform) - before
    assert {identity: again[identity] for identity in new} == dict.fromkeys(new, 2)
    shop.assert_each_counts_once()
    shop.twins["google"].advance(HALF_AN_HOUR)
    assert [(log["status"], log["membership_calls"]) for log in shop.sync().values()] == [("succeeded", 0)] * 3


def test_the_feeds_are_shown_with_their_runs(shop: Shop) -> None:
    shown = {one["name"]: one for one in shop.harness.bridge("audiences", "--json").json}
    assert [shown[name]["members"] for name in FEEDS] == [len(shop.wanted)] * 3
    for name in FEEDS:
        runs = shop.harness.bridge("runs", "--audience", name, "--json").json
        assert runs[0]["status"] == "succeeded"
        assert sum(run["status"] == "failed" for run in runs) == 1
