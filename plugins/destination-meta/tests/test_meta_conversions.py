"""Conversion events: what arrives and for whom, what is refused before it is sent, and what each error means."""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sandbox
from cdp_bridge.sdk import AudienceRef, Batch, ConfigError, Conversion, Item, RejectedError, TransientError
from cdp_bridge.testing.numbered import digest, keys
from cdp_bridge.testing.relay import Relay
from destination_meta import conversions, destination
from destination_meta.destination import MetaWriter
from facebook_business.adobjects.adpromotedobject import AdPromotedObject
from sandbox.people import generate

from .conftest import Account

DAY = 24 * 3600
PEOPLE = 20


@pytest.fixture(scope="module")
def twin_url() -> Iterator[str]:
    """A twin whose clock nobody moves, and that knows people."""
    with sandbox.running(people=PEOPLE) as running:
        yield running.meta


@pytest.fixture(autouse=True)
def dataset(account: Account) -> str:
    """A dataset of the test's own."""
    number = str(account.number)
    account.configure_account(pixels=[number])
    return number


@pytest.fixture
def writer(account: Account, dataset: str) -> Iterator[MetaWriter]:
    with account.open(dataset_id=dataset) as writer:
        yield writer


def event(event_id: str = "e-1", event_name: str = "lead", **changes: Any) -> Conversion:
    web: dict[str, Any] = {
        "url": "https://shop.example/thanks",
        "user_agent": "Mozilla/5.0",
        "occurred_at": time.time() - 60,
    }
    return Conversion(**{"event_id": event_id, "event_name": event_name} | web | changes)


def track(*events: Conversion, **columns: Any) -> Batch:
    """Conversions of members by their places, each with an e-mail address of its own unless `email` says otherwise."""
    members = range(len(events))
    columns = {"email": [[digest(f"{member}@example.com")] for member in members]} | columns
    reference = AudienceRef(id="conversions", account="act_1001")
    return Batch(audience=reference, operation="track", keys=keys(*members), identifiers=columns, events=events)


@pytest.fixture
def received(account: Account, dataset: str) -> Callable[[], list[dict[str, Any]]]:
    """The events that the twin took."""
    return lambda: [each for each in account.lines("events") if each["pixel_id"] == dataset]


@pytest.mark.parametrize(
    ("event_name", "expected"),
    [
        ("purchase", "Purchase"),
        ("add_to_cart", "AddToCart"),
        ("begin_checkout", "InitiateCheckout"),
        ("add_payment_info", "AddPaymentInfo"),
        ("lead", "Lead"),
        ("sign_up", "CompleteRegistration"),
        ("start_trial", "StartTrial"),
        ("subscribe", "Subscribe"),
        ("view_item", "ViewContent"),
        ("search", "Search"),
        ("Purchase", "Purchase"),
        ("won_a_game", "won_a_game"),
    ],
)
def test_each_event_arrives_under_metas_name(
    writer: MetaWriter, received: Callable[[], list[dict[str, Any]]], event_name: Any, expected: Any
) -> None:
    outcome = writer.write(track(event(f"name-{event_name}", event_name, value=12.5, currency="EUR")))
    assert (outcome.rejected, outcome.unknown, outcome.pending) == ({}, frozenset(), None)
    assert [each["event_name"] for each in received()] == [expected]


def test_the_standard_names_are_those_of_metas_own_sdk() -> None:
    known = {name for name in vars(AdPromotedObject.CustomEventType) if not name.startswith("__")}
    other = {"InitiateCheckout": "initiated_checkout", "ViewContent": "content_view", "PageView": None}
    ours = {other.get(name, re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()) for name in conversions.EVENTS.values()}
    assert ours - {None} <= known


def test_everything_arrives_under_metas_keys(account: Account, dataset: str) -> None:
    columns = {
        "email": [[digest("a"), digest("b")]],
        "phone": [[digest("p")]],
        "date_of_birth": [[digest("19970216")]],
        "mobile_ad_id": [["aebe52e7-03ee-455a-b3c4-e57283966239"]],
        "external_id": [[digest("CRM-0042"), digest("CRM-0043")]],
        "city": [[]],
    }
    moment = int(time.time()) - 60
    bought = event(
        event_name="purchase",
        occurred_at=moment + 0.9,
        source="store",
        value=0.0,
        currency="EUR",
        order_id="991",
        items=(Item(id="sku1", quantity=2.0, price=6.25), Item(id="sku2", quantity=0.5)),
        click_ids={"fbc": "fb.1.1.abc", "fbp": "fb.1.1.2", "gclid": "not for Meta"},
        ip_address="203.0.113.9",
    )
    settings = account.settings(dataset_id=dataset, app_secret="sandbox-secret", test_event_code="TEST1")
    sent = destination.preview(settings, track(bought, **columns))
    assert (sent["method"], sent["url"]) == ("POST", f"{account.url}/v26.0/{dataset}/events")
    assert (sent["headers"]["Authorization"], sent["params"]) == ("Bearer ***", {"appsecret_proof": "***"})
    assert sent["json"] == {
        "data": [
            {
                "event_name": "Purchase",
                "event_time": moment,
                "event_id": "e-1",
                "action_source": "physical_store",
                "event_source_url": "https://shop.example/thanks",
                "user_data": {
                    "em": [digest("a"), digest("b")],
                    "ph": [digest("p")],
                    "db": [digest("19970216")],
                    "madid": "aebe52e7-03ee-455a-b3c4-e57283966239",
                    "external_id": [digest("CRM-0042"), digest("CRM-0043")],
                    "fbc": "fb.1.1.abc",
                    "fbp": "fb.1.1.2",
                    "client_ip_address": "203.0.113.9",
                    "client_user_agent": "Mozilla/5.0",
                },
                "custom_data": {
                    "value": 0.0,
                    "currency": "EUR",
                    "order_id": "991",
                    "content_type": "product",
                    "content_ids": ["sku1", "sku2"],
                    "contents": [{"id": "sku1", "quantity": 2, "item_price": 6.25}, {"id": "sku2"}],
                },
            }
        ],
        "test_event_code": "TEST1",
    }


@pytest.mark.parametrize(
    ("source", "expected"), [("web", "website"), ("store", "physical_store"), ("crm", "system_generated")]
)
def test_where_it_happened(
    writer: MetaWriter, received: Callable[[], list[dict[str, Any]]], source: Any, expected: Any
) -> None:
    writer.write(track(event(f"source-{source}", source=source)))
    assert [each["action_source"] for each in received()] == [expected]


def test_meta_knows_the_people_again(writer: MetaWriter, received: Callable[[], list[dict[str, Any]]]) -> None:
    people = [person for person in generate(PEOPLE, seed=1) if person.emails][:5]
    events = [event(f"person-{i}") for i in range(5)]
    writer.write(track(*events, email=[[digest(person.emails[0].true)] for person in people]))
    assert [each["person_id"] for each in received()] == [person.human_id for person in people]


def test_a_repeat_counts_once(
    account: Account, writer: MetaWriter, received: Callable[[], list[dict[str, Any]]]
) -> None:
    for _ in range(2):
        writer.write(track(event("twice")))
    account.fault("accepted_then_reset", "/events")
    with pytest.raises(TransientError):
        writer.write(track(event("unanswered")))
    writer.write(track(event("unanswered")))
    assert [each["event_id"] for each in received() if not each["duplicate"]] == ["twice", "unanswered"]


WRONG: dict[str, dict[str, Any]] = {
    "meta:app": {"source": "app"},
    "meta:too_old": {"occurred_at": time.time() - 7 * DAY - 60},
    "meta:future": {"occurred_at": time.time() + 3_600},
    "meta:no_url": {"url": None},
    "meta:no_user_agent": {"user_agent": None},
    "meta:no_value": {"event_name": "purchase", "currency": "EUR"},
    "meta:no_currency": {"event_name": "purchase", "value": 12.5},
}


def test_rows_31_to_34_what_meta_would_refuse_is_named_and_the_rest_goes(
    writer: MetaWriter, received: Callable[[], list[dict[str, Any]]]
) -> None:
    wrong = [event(f"wrong-{reason}", **changes) for reason, changes in WRONG.items()]
    outcome = writer.write(track(event("good-1"), *wrong, event("good-2")))
    assert outcome.rejected == dict(zip(keys(*range(1, len(WRONG) + 1)), WRONG, strict=True))
    assert [each["event_id"] for each in received()] == ["good-1", "good-2"]


@pytest.mark.parametrize("changes", [{}, {"ip_address": "203.0.113.9"}, {"ip_address": "203.0.113.9", "source": "crm"}])
def test_row_34_nobody_to_match(writer: MetaWriter, received: Callable[[], list[dict[str, Any]]], changes: Any) -> None:
    known = {"user_agent": None} if "source" in changes else {}
    outcome = writer.write(track(event(**changes | known), email=[[]]))
    told = changes.keys() == {"ip_address"}
    assert outcome.rejected == ({} if told else dict.fromkeys(keys(0), "meta:no_identifier"))
    assert len(received()) == told


@pytest.mark.parametrize(("source", "days"), [("web", 7), ("crm", 7), ("store", 62)])
def test_row_32_how_old_an_event_may_be(
    writer: MetaWriter, received: Callable[[], list[dict[str, Any]]], source: str, days: int
) -> None:
    ages = {"young": days - 1, "old": days + 1}
    events = [event(name, source=source, occurred_at=time.time() - age * DAY) for name, age in ages.items()]
    outcome = writer.write(track(*events))
    assert outcome.rejected == dict.fromkeys(keys(1), "meta:too_old")
    assert [each["event_id"] for each in received()] == ["young"]


def test_a_batch_of_which_nothing_is_left_costs_no_call(account: Account, writer: MetaWriter) -> None:
    account.fails(100, path_regex="/events")
    assert writer.write(track(event(url=None))).rejected == dict.fromkeys(keys(0), "meta:no_url")


def test_row_31_a_full_batch(
    account: Account, writer: MetaWriter, received: Callable[[], list[dict[str, Any]]]
) -> None:
    (_, stream) = destination.discover(account.settings()).streams
    limits = stream.limits
    assert limits is not None
    writer.write(track(*[event(f"full-{number}") for number in range(limits.rows)]))
    assert len(received()) == limits.rows == 1_000


def test_row_36_one_event_that_meta_refuses_spoils_the_request(
    writer: MetaWriter, received: Callable[[], list[dict[str, Any]]]
) -> None:
    with pytest.raises(RejectedError) as refusal:
        writer.write(track(event("spoilt"), event("good"), email=[["jane@example.com"], [digest("a")]]))
    assert refusal.value.reason == "meta:100"
    assert received() == []


@pytest.mark.parametrize("subcode", [2804001, 2804003, 2804007, 2804009, 2804016, 2804017, 2804019, 2804048, 2804050])
def test_the_subcodes_of_events_refuse_the_batch(account: Account, writer: MetaWriter, subcode: Any) -> None:
    account.fails(100, subcode, "/events")
    with pytest.raises(RejectedError) as refusal:
        writer.write(track(event()))
    assert refusal.value.reason == f"meta:100/{subcode}"
    assert "jane" not in str(refusal.value)


@pytest.mark.parametrize(("code", "status"), [(21009, 400), (1, 500), (2, 400), (80004, 400)])
def test_what_passes_is_tried_again(account: Account, writer: MetaWriter, code: Any, status: Any) -> None:
    account.fails(code, path_regex="/events", status=status)
    with pytest.raises(TransientError):
        writer.write(track(event()))


@pytest.mark.parametrize(
    ("answer", "unknown"), [({"events_received": 1, "messages": []}, keys(0, 1)), ({"events_received": 2}, [])]
)
def test_events_that_meta_does_not_count_are_unknown(
    account: Account, writer: MetaWriter, answer: Any, unknown: Any
) -> None:
    account.fault("status", "/events", status=200, body=answer)
    assert writer.write(track(event("a"), event("b"))).unknown == frozenset(unknown)


def test_an_answer_of_another_shape_is_tried_again(account: Account, writer: MetaWriter) -> None:
    account.fault("status", "/events", status=200, body={"success": True})
    with pytest.raises(TransientError, match="unexpected shape"):
        writer.write(track(event()))


def test_usage_that_climbs_asks_for_a_pause(account: Account, writer: MetaWriter) -> None:
    usage = '{"call_count":97,"total_time":25,"total_cputime":25}'
    account.fault("status", "/events", status=200, body={"events_received": 1}, headers={"X-App-Usage": usage})
    assert writer.write(track(event())).pause >= 60


def test_without_a_dataset_conversions_are_refused_with_the_setting(account: Account) -> None:
    with account.open() as writer, pytest.raises(ConfigError) as missing:
        writer.write(track(event()))
    remedy = "Set it to the id of the dataset (pixel) in Events Manager"
    assert (missing.value.place, missing.value.remedy) == ("settings.dataset_id", remedy)


def test_a_dataset_that_the_token_cannot_see(account: Account) -> None:
    with account.open(dataset_id="5901") as writer, pytest.raises(ConfigError, match=r"/5901/events.*dataset"):
        writer.write(track(event()))
    probe = destination.check(account.settings(dataset_id="5901"))[-1]
    assert (probe.name, probe.passed) == ("dataset", False)


def test_a_dataset_is_looked_at_only_where_one_is_set(account: Account, dataset: str) -> None:
    probe = destination.check(account.settings(dataset_id=dataset))[-1]
    assert (probe.name, probe.passed, probe.detail) == ("dataset", True, f"dataset {dataset} is visible")
    assert "dataset" not in [probe.name for probe in destination.check(account.settings())]


def test_test_mode_marks_the_events(
    account: Account, received: Callable[[], list[dict[str, Any]]], dataset: str
) -> None:
    with account.open(dataset_id=dataset, test_event_code="TEST1") as writer:
        writer.write(track(event("test")))
    assert [each["test"] for each in received()] == [True]


@pytest.mark.parametrize(("choice", "cells"), [("california", (1, 1000)), ("located", (0, 0))])
def test_limited_data_use_marks_the_events(account: Account, dataset: str, choice: Any, cells: Any) -> None:
    settings = account.settings(dataset_id=dataset, limited_data_use=choice)
    (sent,) = destination.preview(settings, track(event()))["json"]["data"]
    options = sent["data_processing_options_country"], sent["data_processing_options_state"]
    assert (sent["data_processing_options"], options) == (["LDU"], cells)
    with account.open(dataset_id=dataset, limited_data_use=choice) as writer:
        assert writer.write(track(event(f"ldu-{choice}"))).rejected == {}


def test_no_clear_identifier_is_on_the_wire_and_none_in_a_log(
    account: Account, dataset: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    relay = Relay(account.url)
    with relay.running(), account.open(base_url=relay.url, dataset_id=dataset) as writer:
        writer.write(track(event("canary", ip_address="203.0.113.9"), external_id=[[digest("CRM-CANARY")]]))
    (request,) = relay.requests
    assert json.loads(request.body)["data"][0]["user_data"]["external_id"] == [digest("CRM-CANARY")]
    assert b"CANARY" not in request.body
    assert account.token not in request.path
    for private in (account.token, "CANARY", "203.0.113.9", digest("0@example.com"), digest("CRM-CANARY")):
        assert private not in caplog.text


def test_nothing_is_ever_pending(writer: MetaWriter) -> None:
    assert writer.settle(track().audience, "x").pending is None


def test_the_object_is_announced_after_the_audience(account: Account) -> None:
    audience, stream = destination.discover(account.settings(base_url="http://127.0.0.1:9")).streams
    assert (audience.name, stream.name, stream.profile) == ("audience", "conversions", "meta-events")
    assert stream.operations == ("track",)
    assert {"email", "external_id"} <= {*stream.matching_keys}
