"""Conversions out of records: what they are made of, and why some are not."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from cdp_bridge.entities import DataMapping
from cdp_bridge.mapping import compile_mapping
from cdp_bridge.mapping.events import FIELDS, LISTS, OLDEST_DAYS, PERSONAL
from cdp_bridge.model import Conversion, Item
from cdp_bridge.settings import SettingsError

from .conftest import Run

NOW = int(time.time())
EVENT: dict[str, Any] = {"event_id": "e1", "event_name": "purchase", "occurred_at": NOW}


def rule(field: str, path: str | None = None, **more: Any) -> DataMapping:
    policy = "clear" if field in PERSONAL else "hash"
    return DataMapping(**{"omniads_field": field, "cdp_field": path or field, "policy": policy, **more})


EVERYTHING = [rule(field) for field in FIELDS]


def conversion(row: Mapping[str, Any]) -> Conversion:
    (text,) = row["event"]
    return msgspec.json.decode(text, type=Conversion)


def only(run: Run, record: Mapping[str, Any], mappings: Sequence[DataMapping] = EVERYTHING) -> dict[str, Any]:
    (row,) = run([record], *mappings)
    return row


def test_every_field_arrives(run: Run) -> None:
    click_ids = {name: f"click-{name}" for name in ("fbc", "fbp", "gclid", "gbraid", "wbraid", "ttclid", "ttp")}
    texts: dict[str, Any] = {
        "source": "app",
        "url": "https://shop.example/cart?x=1",
        "order_id": "o-1",
        "ip_address": "203.0.113.9",
        "user_agent": 'Mozilla "5.0"\n',
    }
    items = {"item_ids": ["a", "b"], "item_quantities": [1, 2], "item_prices": [9.5, 1]}
    row = only(run, EVENT | texts | click_ids | items | {"value": "11.5", "currency": "eur", "id": "u1"})
    assert conversion(row) == Conversion(
        event_id="e1",
        event_name="purchase",
        occurred_at=NOW,
        value=11.5,
        currency="EUR",
        click_ids=click_ids,
        items=(Item(id="a", quantity=1, price=9.5), Item(id="b", quantity=2, price=1)),
        **texts,
    )
    assert (row["event_id"], row["user_id"], row["clicked"]) == ("e1", "u1", True)
    assert (row["faults"], row["dropped"]) == ([], None)
    assert row.keys() == {"user_id", "is_member", "faults", "dropped", "event", "event_id", "clicked"}


def test_what_is_missing_is_left_out(run: Run) -> None:
    row = only(run, EVENT)
    assert conversion(row) == Conversion(event_id="e1", event_name="purchase", occurred_at=NOW)
    assert (row["user_id"], row["clicked"], row["dropped"]) == (None, False, None)


@pytest.mark.parametrize(
    ("text", "fraction"),
    [
        ("{now}", 0),
        ("{now}000", 0),
        ("{now}000000", 0),
        ("{now}.25", 0.25),
        ("{utc}Z", 0),
        ("{utc}.500Z", 0.5),
        ("{utc}", 0),
        ("{east}+02:00", 0),
        ("{east}.25+0200", 0.25),
        ("{east}+02", 0),
    ],
)
def test_times_are_understood(run: Run, text: str, fraction: float) -> None:
    utc, east = (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(NOW + ahead)) for ahead in (0, 7200))
    row = only(run, EVENT | {"occurred_at": text.format(now=NOW, utc=utc, east=east)})
    assert conversion(row).occurred_at == NOW + fraction


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"event_id": None}, "incomplete:event_id"),
        ({"event_id": " "}, "incomplete:event_id"),
        ({"event_name": ""}, "incomplete:event_name"),
        ({"occurred_at": None}, "incomplete:occurred_at"),
        ({"occurred_at": "yesterday"}, "incomplete:occurred_at"),
        ({"occurred_at": "inf"}, "incomplete:occurred_at"),
        ({"occurred_at": NOW - (OLDEST_DAYS + 1) * 86_400}, "too_old"),
        ({"url": "https://shop.example/" + "x" * 60_000}, "invalid:too_large"),
    ],
)
def test_events_that_are_none_are_dropped(run: Run, change: dict[str, Any], reason: str) -> None:
    assert only(run, EVENT | change)["dropped"] == reason


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"value": "a lot"}, "value:not_a_number"),
        ({"value": "nan"}, "value:not_a_number"),
        ({"currency": "EURO"}, "currency:not_iso_4217"),
        ({"source": "moon"}, "source:unknown"),
        ({"item_ids": ["a", "b"], "item_prices": [1]}, "item_prices:not_one_for_each_item"),
        ({"item_ids": ["a"], "item_quantities": [1, 2]}, "item_quantities:not_one_for_each_item"),
    ],
)
def test_values_of_another_kind_cost_themselves_only(run: Run, change: dict[str, Any], fault: str) -> None:
    row = only(run, EVENT | change)
    assert (row["faults"], row["dropped"]) == ([fault], None)
    items = tuple(Item(id=one) for one in change.get("item_ids", ()))
    assert conversion(row) == Conversion(event_id="e1", event_name="purchase", occurred_at=NOW, items=items)


def test_items_come_out_of_the_products_of_a_record(run: Run) -> None:
    products = [{"product_id": "a", "price": 1.5}, {"product_id": "b", "price": 2}]
    rules = [*(rule(field) for field in EVENT), rule("item_ids", "p.product_id"), rule("item_prices", "p.price")]
    found = conversion(only(run, {**EVENT, "p": products}, rules))
    assert found.items == (Item(id="a", price=1.5), Item(id="b", price=2))


def test_a_rule_names_events_and_lets_others_go(run: Run) -> None:
    named = "CASE value WHEN 'Order Completed' THEN 'purchase' END"
    rules = [rule("event_id"), rule("occurred_at"), rule("event_name", transformation_rule=named)]
    records = [EVENT | {"event_name": name} for name in ("Order Completed", "Page Viewed")]
    rows = run(records, *rules)
    assert [row["dropped"] for row in rows] == [None, "incomplete:event_name"]
    assert conversion(rows[0]).event_name == "purchase"


@pytest.mark.parametrize("field", ["event_id", "event_name", "occurred_at"])
def test_a_mapping_of_events_must_fill_what_makes_one(field: str) -> None:
    with pytest.raises(SettingsError, match=f"no mapping fills {field}"):
        compile_mapping([one for one in EVERYTHING if one.omniads_field != field], (), {})


@pytest.mark.parametrize("field", PERSONAL)
def test_what_goes_in_clear_only_must_be_allowed_to(field: str) -> None:
    with pytest.raises(SettingsError, match=f"{field} is sent in clear or not at all"):
        compile_mapping([*EVERYTHING, rule(field, policy="hash")], (), {})


def test_lists_are_fields() -> None:
    assert set(LISTS) < set(FIELDS)
