"""A feed of conversions: each event is told once, whatever happens on the way; nobody is removed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.entities import Consent, ConversionFeed, DataMapping, SyncLog
from cdp_bridge.errors import ConfigError, RejectedError, TransientError
from cdp_bridge.model import Batch, Item, Outcome
from msgspec.structs import replace

from ..conftest import SyncHarness, digest

NAME = "orders"
FIELDS = ("event_id", "event_name", "occurred_at", "email", "value", "currency", "gclid", "item_ids")
MAPPINGS = (
    DataMapping(omniads_field="user_id", cdp_field="id"),
    *(DataMapping(omniads_field=field, cdp_field=field) for field in FIELDS),
    *(DataMapping(omniads_field=field, cdp_field=field, policy="clear") for field in ("ip_address", "user_agent")),
)


class Shop:
    """Orders in the CDP, and the feed that tells the platform of them."""

    def __init__(self, harness: SyncHarness) -> None:
        self.harness, self.cdp, self.platform, self.store = harness, harness.cdp, harness.platform, harness.store
        self.cdp.people.clear()
        self.cdp.journal.clear()
        feed = ConversionFeed(
            name=NAME,
            connection="cdp",
            destination="ads",
            mapping="orders",
            stream="people",
            consent=(Consent(purpose="ads", cdp_field="ok"),),
        )
        harness.save(replace(harness.bridge, mappings={"orders": MAPPINGS}, audiences=(), conversions=(feed,)))

    def configure(self, **feed: Any) -> None:
        self.harness.save(
            replace(self.harness.bridge, conversions=(replace(self.harness.bridge.conversions[0], **feed),))
        )

    def order(self, number: int, **more: Any) -> None:
        none = dict.fromkeys((*FIELDS, "ip_address", "user_agent"))
        event = {"event_id": f"e{number}", "event_name": "purchase", "occurred_at": int(time.time())}
        self.cdp.put(f"u{number}", **none | event | {"email": f"u{number}@example.com"} | more)

    def sync(self) -> SyncLog:
        log: SyncLog = self.harness.sync()
        return log

    @property
    def told(self) -> dict[str, int]:
        return dict(self.platform.told)


@pytest.fixture
def shop(harness: SyncHarness) -> Shop:
    shop = Shop(harness)
    for number in range(3):
        shop.order(number)
    return shop


def once(*numbers: int) -> dict[str, int]:
    return {f"e{number}": 1 for number in numbers}


def test_each_event_is_told_once(shop: Shop) -> None:
    log = shop.sync()
    assert (log.status, log.adds, log.match_rate, log.funnel.accepted) == ("succeeded", 3, 1.0, 3)
    assert shop.told == once(0, 1, 2)
    assert [(batch.operation, len(batch.keys)) for batch in shop.platform.batches] == [("track", 2), ("track", 1)]
    assert not shop.platform.ensured
    again = shop.sync()
    assert (again.status, again.adds, again.membership_calls, again.match_rate) == ("succeeded", 0, 0, 1.0)
    shop.order(3)
    assert shop.sync().adds == 1
    assert shop.told == once(0, 1, 2, 3)


def test_an_event_goes_with_its_person(shop: Shop) -> None:
    more = {"value": "9.5", "currency": "eur", "gclid": "g1", "item_ids": ["a", "b"], "ip_address": "203.0.113.9"}
    shop.order(7, **more)
    shop.sync()
    sent = {
        event.event_id: (batch, place) for batch in shop.platform.batches for place, event in enumerate(batch.events)
    }
    batch, place = sent["e7"]
    event = batch.events[place]
    assert (event.value, event.currency, event.click_ids) == (9.5, "EUR", {"gclid": "g1"})
    assert (event.items, event.ip_address) == ((Item(id="a"), Item(id="b")), "203.0.113.9")
    assert batch.identifiers["email"][place] == (digest("u7@example.com"),)
    assert (batch.audience.id, batch.audience.account) == ("conversions", "ads")


def test_an_event_that_is_gone_from_the_source_or_different_there_is_left_alone(shop: Shop) -> None:
    shop.sync()
    shop.cdp.drop("u0")
    shop.order(1, value="5")
    log = shop.sync()
    assert (log.status, log.membership_calls, log.removes, log.changes) == ("succeeded", 0, 0, 0)
    assert shop.told == once(0, 1, 2)


def test_nothing_of_an_event_is_kept(shop: Shop, sqlite_url: str) -> None:
    shop.order(7, value="42", gclid="canary-click", ip_address="203.0.113.77", user_agent="canary-agent")
    shop.platform.answers = [TransientError("down")] * 20
    assert shop.sync().status == "failed"
    assert shop.store.deliveries(NAME), "nothing was written ahead, so nothing is shown"
    shop.platform.answers = []
    shop.sync()
    shop.store.close()
    kept = Path(sqlite_url.removeprefix("sqlite:///")).read_bytes()
    assert not [word for word in (b"canary", b"203.0.113.77", b"u7@example.com") if word in kept]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ok": "no"}, "no_consent:ads"),
        ({"email": None}, "unidentifiable:nothing_given"),
        ({"event_name": None}, "incomplete:event_name"),
        ({"occurred_at": 1_000_000_000}, "too_old"),
    ],
)
def test_events_that_may_not_or_cannot_be_told_have_a_reason(shop: Shop, change: dict[str, Any], reason: str) -> None:
    shop.cdp.people["u0"] |= change
    log = shop.sync()
    assert (log.status, log.funnel.dropped) == ("succeeded", {reason: 1})
    assert shop.told == once(1, 2)


def test_a_click_identifies_too(shop: Shop) -> None:
    shop.order(5, email=None, gclid="g5")
    assert shop.sync().funnel.dropped == {}
    assert shop.told == once(0, 1, 2, 5)


def test_suppressed_people_are_not_told_of(shop: Shop, tmp_path: Path) -> None:
    shop.harness.suppress(tmp_path / "gone.csv", "u1@example.com")
    assert shop.sync().funnel.dropped == {"suppressed": 1}
    assert shop.told == once(0, 2)


def test_a_refused_event_is_buried_and_tried_again_when_it_changes(shop: Shop) -> None:
    shop.platform.hated = {"e1": "ads:no_value"}
    log = shop.sync()
    assert (log.status, log.rejected, log.funnel.accepted) == ("partial", 1, 2)
    again = shop.sync()
    assert (again.membership_calls, again.funnel.accepted, again.status) == (0, 2, "succeeded")
    shop.platform.hated = {}
    shop.order(1, value="5")
    assert shop.sync().funnel.accepted == 3
    assert shop.told == once(0, 2) | {"e1": 2}


def test_a_batch_that_is_refused_whole_is_cut(shop: Shop) -> None:
    def refuse(batch: Batch) -> Outcome:
        if "e1" in {event.event_id for event in batch.events}:
            raise RejectedError("one is wrong", reason="ads:wrong")
        taken: Outcome = shop.platform.track(batch)
        return taken

    shop.platform.answers = [refuse] * 5
    log = shop.sync()
    assert (log.rejected, log.funnel.accepted) == (1, 2)
    assert shop.told == once(0, 2)


def test_after_an_unanswered_request_the_same_ids_are_sent_again(shop: Shop) -> None:
    def lost(batch: Batch) -> Outcome:
        shop.platform.track(batch)
        raise ConfigError("the token was revoked")

    shop.platform.answers = [lost]
    assert shop.sync().status == "failed"
    log = shop.sync()
    assert (log.status, log.funnel.accepted) == ("succeeded", 3)
    assert sum(shop.told.values()) == 5, "the batch in doubt, of two, is told twice under the same ids"
    assert shop.sync().membership_calls == 0


def test_events_in_doubt_are_told_again(shop: Shop) -> None:
    shop.platform.answers = [lambda batch: Outcome(unknown=frozenset(batch.keys))]
    log = shop.sync()
    assert (log.status, log.unknown, log.funnel.accepted) == ("partial", 2, 1)
    assert (shop.sync().status, shop.store.ledger.count(NAME, outcome="accepted")) == ("succeeded", 3)


def pend(batch: Batch) -> Outcome:
    return Outcome(pending=f"p{batch.number}")


def test_pending_events_wait_and_are_not_told_again(shop: Shop) -> None:
    shop.platform.answers = [pend, pend]
    assert shop.sync().unknown == 3
    shop.platform.settlements = [Outcome(pending="p1"), Outcome()]
    assert (shop.sync().membership_calls, shop.told) == (0, {})
    shop.platform.settlements = [Outcome()]
    log = shop.sync()
    assert (log.status, log.membership_calls, log.funnel.accepted) == ("succeeded", 0, 3)
    assert shop.store.ledger.count(NAME, outcome="accepted") == 3


def position(shop: Shop) -> Any:
    checkpoint = shop.cdp.requests[-1].checkpoint
    return checkpoint and checkpoint["position"]


def test_an_incremental_feed_reads_what_is_new(shop: Shop) -> None:
    shop.configure(incremental=True)
    shop.sync()
    shop.order(3)
    log = shop.sync()
    assert (position(shop), log.funnel.in_segment, log.match_rate) == (3, 1, 1.0)
    assert shop.told == once(0, 1, 2, 3)


def test_the_cursor_does_not_pass_events_in_doubt(shop: Shop) -> None:
    shop.configure(incremental=True)
    shop.platform.answers = [lambda batch: Outcome(unknown=frozenset(batch.keys))]
    shop.sync()
    shop.order(3)
    shop.sync()
    assert position(shop) is None
    assert shop.store.ledger.count(NAME, outcome="accepted") == 4
    shop.sync()
    assert position(shop) == 4


def test_the_cursor_does_not_pass_events_that_stay_in_doubt(shop: Shop) -> None:
    shop.configure(incremental=True)
    for number in (3, 4):
        shop.platform.answers = [lambda batch: Outcome(unknown=frozenset(batch.keys))] * 2
        shop.sync()
        shop.order(number)
    shop.sync()
    assert position(shop) is None
    assert shop.store.ledger.count(NAME, outcome="accepted") == 5


def test_the_cursor_follows_one_run_behind_a_platform_that_answers_late(shop: Shop) -> None:
    shop.configure(incremental=True)
    positions = []
    for number in range(3, 7):
        shop.platform.answers = [pend] * 2
        shop.platform.settlements = [Outcome()] * len(shop.store.deliveries(NAME))
        shop.sync()
        positions.append(position(shop))
        shop.order(number)
    assert positions == [None, None, 3, 4]
    assert shop.store.ledger.count(NAME) == 6


def test_a_settlement_that_is_lost_brings_its_events_back(shop: Shop) -> None:
    shop.configure(incremental=True)
    shop.platform.answers = [pend] * 2
    shop.sync()
    shop.platform.settlements = [RejectedError("no such request", reason="ads:unknown")] * 2
    log = shop.sync()
    assert (log.adds, log.status, shop.told) == (0, "succeeded", once(0, 1, 2))


def test_a_changed_mapping_reads_everything_and_tells_nothing_twice(shop: Shop) -> None:
    shop.configure(incremental=True)
    shop.sync()
    shop.harness.save(replace(shop.harness.bridge, mappings={"orders": MAPPINGS[:-1]}))
    assert shop.sync().membership_calls == 0
    assert position(shop) is None


def test_a_preview_shows_a_request_and_tells_nobody(shop: Shop) -> None:
    preview = shop.harness.preview()
    assert (preview.adds, preview.removes, preview.funnel.identifiable) == (3, 0, 3)
    assert preview.sample
    assert preview.sample["operation"] == "track"
    assert not shop.told


def test_both_databases_keep_a_feed(each_harness: SyncHarness) -> None:
    shop = Shop(each_harness)
    shop.order(1)
    assert shop.store.bridge().conversions == shop.harness.bridge.conversions
    assert (shop.sync().adds, shop.sync().adds) == (1, 0)


def test_a_source_with_several_streams_must_be_told_which(shop: Shop) -> None:
    shop.configure(stream=None)
    wrong = pytest.raises(ConfigError, match=r"conversions\.orders\.stream: source-test has 2 streams")
    with wrong, shop.harness.open():
        pass


def test_people_are_no_conversions(harness: SyncHarness) -> None:
    assert harness.sync().status == "succeeded"
    assert {batch.operation for batch in harness.platform.batches} == {"add"}
