"""Which object of a destination a sync writes, and what goes into one that takes identifiers in clear."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cdp_bridge.entities import ConversionFeed, DataMapping
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import Catalog, Stream
from msgspec.structs import replace

from ..conftest import SyncHarness, digest

ID = DataMapping(omniads_field="user_id", cdp_field="id")
EMAIL = DataMapping(omniads_field="email", cdp_field="email", policy="clear")
PHONE = DataMapping(omniads_field="phone", cdp_field="phone")
CITY = DataMapping(omniads_field="city", cdp_field="city", policy="clear")
CONTACTS = Stream(name="contacts", operations=("add", "remove"))
ORDERS = Stream(name="orders", operations=("track",))
AUDIENCE = Stream(name="audience", profile="meta", operations=("add", "remove"))


def offer(harness: SyncHarness, *streams: Stream) -> None:
    harness.platform.catalog = Catalog(streams)


def sent(harness: SyncHarness) -> set[tuple[str, str]]:
    return {value for row in harness.platform.held for value in row}


def test_the_only_object_of_the_kind_needs_no_name(harness: SyncHarness) -> None:
    offer(harness, ORDERS, AUDIENCE)
    harness.sync()
    harness.assert_equal()
    assert [audience.object for audience in harness.platform.ensured] == ["audience"]


def test_one_of_several_is_named(harness: SyncHarness) -> None:
    offer(harness, replace(AUDIENCE, name="other"), AUDIENCE)
    with pytest.raises(
        ConfigError, match=r"audiences\.vip\.object: name one of .* people\. There are: other, audience"
    ):
        harness.sync()
    harness.configure(object="audience")
    assert harness.sync().status == "succeeded"
    assert [audience.object for audience in harness.platform.ensured] == ["audience"]


@pytest.mark.parametrize("name", ["nowhere", "orders"])
def test_one_that_is_not_there_or_takes_something_else_is_refused(harness: SyncHarness, name: str) -> None:
    offer(harness, AUDIENCE, ORDERS)
    harness.configure(object=name)
    with pytest.raises(
        ConfigError, match=rf"object: there is no object {name} that takes people\. There are: audience"
    ):
        harness.sync()


def test_a_destination_may_have_none_of_the_kind(harness: SyncHarness) -> None:
    offer(harness, ORDERS)
    with pytest.raises(ConfigError, match=r"audiences\.vip\.destination: .* has no object that takes people"):
        harness.sync()


def test_the_object_is_kept_with_the_sync(each_harness: SyncHarness) -> None:
    each_harness.configure(object="audience")
    assert each_harness.store.bridge() == each_harness.bridge


def test_only_what_may_leave_in_clear_goes_into_an_object_without_profile(harness: SyncHarness) -> None:
    offer(harness, CONTACTS)
    harness.configure(mappings=(ID, EMAIL, PHONE))
    harness.cdp.put("u0", email=" U0@Example.com", phone="+14155550100")
    log = harness.sync()
    assert (log.status, log.adds) == ("succeeded", 5)
    assert sent(harness) == {
        ("email", "U0@Example.com"),
        *(("email", f"u{number}@example.com") for number in range(1, 5)),
    }
    harness.cdp.drop("u1")
    assert harness.sync().removes == 1
    assert ("email", "u1@example.com") not in sent(harness)


@pytest.mark.parametrize(
    "target",
    [
        replace(CONTACTS, matching_keys=("city",)),
        replace(CONTACTS, schema={"type": "object", "properties": {"city": {"type": "string"}}}),
    ],
)
def test_it_takes_the_columns_that_the_catalogue_names(harness: SyncHarness, target: Stream) -> None:
    offer(harness, target)
    harness.configure(mappings=(ID, EMAIL, CITY))
    harness.cdp.people.clear()
    harness.cdp.put("u0", email="u0@example.com", city="Wien")
    assert harness.sync().adds == 1
    assert sent(harness) == {("city", "Wien")}


def test_where_nothing_may_leave_in_clear_nothing_runs(harness: SyncHarness) -> None:
    offer(harness, CONTACTS)
    harness.configure(mappings=(ID, replace(EMAIL, policy="hash"), PHONE))
    with pytest.raises(ConfigError, match=r"audiences\.vip\.mapping: contacts takes identifiers in clear"):
        harness.sync()


def test_conversions_go_into_one_in_clear(harness: SyncHarness) -> None:
    offer(harness, AUDIENCE, ORDERS)
    fields = ("event_id", "event_name", "occurred_at")
    rules = (ID, EMAIL, PHONE, *(DataMapping(omniads_field=field, cdp_field=field) for field in fields))
    feed = ConversionFeed(name="orders", connection="cdp", destination="ads", mapping="orders", stream="people")
    harness.save(replace(harness.bridge, mappings={"orders": rules}, audiences=(), conversions=(feed,)))
    harness.cdp.people.clear()
    event = {"event_id": "e0", "event_name": "purchase", "occurred_at": int(time.time())}
    harness.cdp.put("u0", email="u0@example.com", phone="+14155550100", **event)
    assert harness.sync().status == "succeeded"
    (batch,) = harness.platform.batches
    assert batch.identifiers == {"email": [("u0@example.com",)]}


@pytest.mark.parametrize("rules", [(ID, EMAIL), (ID, PHONE, CITY)], ids=["sent", "not sent"])
def test_who_is_suppressed_is_not_written_in_clear(
    harness: SyncHarness, rules: tuple[DataMapping, ...], tmp_path: Path
) -> None:
    """Whether the list names them in clear or by hash, and whether what it names them by is sent or not."""
    offer(harness, CONTACTS)
    harness.configure(mappings=rules)
    for number in range(5):
        harness.cdp.put(f"u{number}", email=f"U{number}@example.com", phone=f"+1 415 555 010{number}", city="Wien")
    by_email = [" u0@example.com", digest("u1@example.com")]
    by_phone = ["+14155550100", digest("+14155550101")]
    harness.suppress(tmp_path / "list", *(by_email if EMAIL in rules else by_phone))
    log = harness.sync()
    assert log.funnel.dropped == {"suppressed": 2}
    assert log.funnel.fields_rejected == {}
    assert set(harness.ledger()) == {"u2", "u3", "u4"}


def test_a_hash_made_by_the_rules_of_one_platform_suppresses_at_another(harness: SyncHarness, tmp_path: Path) -> None:
    offer(harness, replace(AUDIENCE, profile="google"))
    harness.cdp.put("u0", email=digest("first.last@gmail.com"))
    harness.cdp.put("u1", email=digest("jdoe@example.com"))
    harness.cdp.put("u2", phone=digest("14155550102"))
    harness.suppress(tmp_path / "list", "First.Last@gmail.com", "j.doe@example.com", "+14155550102")
    assert harness.sync().funnel.dropped == {"suppressed": 3}
