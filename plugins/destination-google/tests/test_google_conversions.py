"""Conversion events: what arrives and for whom, what is refused before it is sent, and what becomes of it."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sandbox
from cdp_bridge.sdk import AudienceRef, Batch, ConfigError, Conversion, Item, RejectedError, TransientError
from cdp_bridge.settings import SettingsError
from cdp_bridge.testing.numbered import digest, keys, pending_of
from cdp_bridge.testing.relay import Relay
from destination_google import destination
from destination_google.destination import GoogleWriter
from sandbox.people import generate

from .conftest import Account

DAY = 86_400
PEOPLE = 20
NAMES = ("purchase", "lead", "sign_up", "won_a_game")


@pytest.fixture(scope="module")
def twin_url() -> Iterator[str]:
    """A twin whose clock only this module moves, by no more than seconds, and that knows people."""
    with sandbox.running(people=PEOPLE) as running:
        yield running.google


@pytest.fixture(autouse=True)
def actions(account: Account) -> dict[str, str]:
    """Conversion actions of the test's own; two events share one."""
    numbers = dict(zip(NAMES, (f"{account.number}{i}" for i in (1, 2, 3, 2)), strict=True))
    held = {number: {"account": account.number, "name": "Test"} for number in numbers.values()}
    account.configure(conversion_actions=held)
    return numbers


@pytest.fixture
def writer(account: Account, actions: dict[str, str]) -> Iterator[GoogleWriter]:
    with account.open(conversion_actions=actions) as writer:
        yield writer


def event(event_id: str = "e-1", event_name: str = "lead", **changes: Any) -> Conversion:
    web: dict[str, Any] = {"url": "https://shop.example/thanks", "user_agent": "Mozilla/5.0"}
    web |= {"occurred_at": time.time() - 60}
    return Conversion(**{"event_id": event_id, "event_name": event_name} | web | changes)


def track(*events: Conversion, **columns: Any) -> Batch:
    """Conversions of members by their places, each with an e-mail address of its own unless `email` says otherwise."""
    members = range(len(events))
    columns = {"email": [[digest(f"{member}@example.com")] for member in members]} | columns
    reference = AudienceRef(id="conversions", account="1234567890")
    return Batch(audience=reference, operation="track", keys=keys(*members), identifiers=columns, events=events)


@pytest.fixture
def received(account: Account, actions: dict[str, str]) -> Callable[[], list[dict[str, Any]]]:
    """The events that the twin took."""
    return lambda: [each for each in account.lines("events") if each["conversion_action"] in actions.values()]


def test_each_event_arrives_at_its_conversion_action(
    received: Callable[[], list[dict[str, Any]]], writer: GoogleWriter, actions: dict[str, str]
) -> None:
    batch = track(*[event(name, name, value=12.5, currency="EUR") for name in NAMES])
    outcome = writer.write(batch)
    assert (outcome.rejected, outcome.unknown) == ({}, frozenset())
    found = {each["transaction_id"]: each["conversion_action"] for each in received()}
    assert found == actions
    assert {(each["currency"], each["conversionValue"]) for each in received()} == {("EUR", 12.5)}
    settled = writer.settle(batch.audience, pending_of(outcome))
    assert (settled.pending, settled.counts) == (None, {})


def test_everything_arrives_under_googles_keys(account: Account, actions: dict[str, str]) -> None:
    columns = {
        "email": [[digest("a"), digest("b")]],
        "phone": [[digest("p")]],
        "first_name": [[digest("ann")]],
        "last_name": [[digest("silva")]],
        "country": [["PT"]],
        "postal_code": [["1229-076"]],
        "mobile_ad_id": [["aebe52e7-03ee-455a-b3c4-e57283966239"]],
        "external_id": [["CRM-0042"]],
    }
    bought = event(
        event_name="purchase",
        occurred_at=1_790_000_000.5,
        source="store",
        value=0.0,
        currency="EUR",
        order_id="991",
        items=(Item(id="sku1", quantity=2.0, price=6.25), Item(id="sku2", quantity=0.5)),
        click_ids={"gclid": "Cj0", "gbraid": "0AAAA", "fbc": "not for Google"},
        ip_address="203.0.113.9",
    )
    login = {"account_id": "999-888-7777"}
    settings = account.settings(conversion_actions=actions, login_account=login, ad_personalization="denied")
    sent = destination.preview(settings, track(bought, **columns))
    assert (sent["method"], sent["url"]) == ("POST", f"{account.url}/v1/events:ingest")
    assert sent["headers"]["Authorization"] == "Bearer ***"
    address = {
        "givenName": digest("ann"),
        "familyName": digest("silva"),
        "regionCode": "PT",
        "postalCode": "1229-076",
    }
    assert sent["json"] == {
        "destinations": [
            {
                "reference": actions["purchase"],
                "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": account.number},
                "loginAccount": {"accountType": "GOOGLE_ADS", "accountId": "9998887777"},
                "productDestinationId": actions["purchase"],
            }
        ],
        "events": [
            {
                "destinationReferences": [actions["purchase"]],
                "transactionId": "991",
                "eventTimestamp": "2026-09-21T14:13:20.500000Z",
                "eventSource": "IN_STORE",
                "userData": {
                    "userIdentifiers": [
                        {"emailAddress": digest("a")},
                        {"emailAddress": digest("b")},
                        {"phoneNumber": digest("p")},
                        {"address": address},
                    ]
                },
                "adIdentifiers": {"gclid": "Cj0"},
                "currency": "EUR",
                "conversionValue": 0.0,
                "eventDeviceInfo": {"userAgent": "Mozilla/5.0"},
                "cartData": {
                    "items": [
                        {"merchantProductId": "sku1", "quantity": "2", "unitPrice": 6.25},
                        {"merchantProductId": "sku2"},
                    ]
                },
            }
        ],
        "encoding": "HEX",
        "consent": {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_DENIED"},
    }


def test_the_strict_twin_takes_everything_that_can_be_sent(
    received: Callable[[], list[dict[str, Any]]], writer: GoogleWriter
) -> None:
    clicks = [{name: "Cj0"} for name in ("gclid", "gbraid", "wbraid")]
    names = {"first_name": [[digest("ann")]] * 3, "last_name": [[digest("silva")]] * 3}
    places = {"country": [["PT"]] * 3, "postal_code": [["1229-076"]] * 3}
    whole: dict[str, Any] = {
        "value": 12.5,
        "currency": "EUR",
        "order_id": None,
        "items": (Item(id="sku1", quantity=2.0, price=6.25),),
    }
    events = [event(f"whole-{i}", click_ids=click, **whole) for i, click in enumerate(clicks)]
    assert writer.write(track(*events, **names, **places)).rejected == {}
    assert len(received()) == 3


@pytest.mark.parametrize(
    ("source", "expected"), [("web", "WEB"), ("app", "APP"), ("store", "IN_STORE"), ("crm", "OTHER")]
)
def test_where_it_happened(
    received: Callable[[], list[dict[str, Any]]], writer: GoogleWriter, source: Any, expected: Any
) -> None:
    writer.write(track(event(source=source)))
    assert [each["event_source"] for each in received()] == [expected]


def test_google_knows_the_people_again(received: Callable[[], list[dict[str, Any]]], writer: GoogleWriter) -> None:
    people = [person for person in generate(PEOPLE, seed=1) if person.emails and "gmail" not in person.emails[0].true]
    events = [event(f"person-{i}") for i in range(3)]
    addresses = [person.emails[0].true for person in people if "googlemail" not in person.emails[0].true][:3]
    writer.write(track(*events, email=[[digest(address)] for address in addresses]))
    owners = {person.emails[0].true: person.human_id for person in people}
    assert [each["person_id"] for each in received()] == [owners[address] for address in addresses]


def test_a_repeat_counts_once_and_is_no_failure(
    account: Account, received: Callable[[], list[dict[str, Any]]], writer: GoogleWriter
) -> None:
    batch = track(event("twice"), event("other", order_id="991"))
    for _ in range(2):
        pending = pending_of(writer.write(batch))
    settled = writer.settle(batch.audience, pending)
    assert (settled.pending, settled.counts) == (None, {})
    account.fault("accepted_then_reset", "events:ingest")
    with pytest.raises(TransientError):
        writer.write(track(event("unanswered")))
    writer.write(track(event("unanswered")))
    assert [each["transaction_id"] for each in received() if not each["duplicate"]] == ["twice", "991", "unanswered"]


def test_what_google_refuses_later_is_counted(writer: GoogleWriter) -> None:
    batch = track(event("good"), event("old", occurred_at=time.time() - 91 * DAY))
    outcome = writer.write(batch)
    assert writer.settle(batch.audience, pending_of(outcome)).counts == {"google:EVENT_TOO_OLD": 1}


def test_what_google_has_not_worked_in_stays_pending(account: Account, writer: GoogleWriter) -> None:
    account.configure(processing=1_800)
    batch = track(event())
    pending = pending_of(writer.write(batch))
    assert writer.settle(batch.audience, pending).pending == pending
    account.configure(processing=0)


def test_row_34_what_google_would_refuse_is_named_and_the_rest_goes(
    received: Callable[[], list[dict[str, Any]]], writer: GoogleWriter
) -> None:
    wrong: dict[str, dict[str, Any]] = {
        "google:event_name": {"event_name": "searched"},
        "google:future": {"occurred_at": time.time() + 3_600},
    }
    events = [event(f"wrong-{reason}", **changes) for reason, changes in wrong.items()]
    columns = {"email": [[digest(n)] for n in range(4)] + [["jane@example.com"], []]}
    outcome = writer.write(track(event("good-1"), *events, event("good-2"), event("bad"), event("nobody"), **columns))
    assert outcome.rejected == dict(zip(keys(1, 2), wrong, strict=True)) | {
        **dict.fromkeys(keys(4), "google:INVALID_SHA256_FORMAT"),
        **dict.fromkeys(keys(5), "google:no_identifier"),
    }
    assert [each["transaction_id"] for each in received()] == ["good-1", "good-2"]


def test_a_click_is_enough_to_match(received: Callable[[], list[dict[str, Any]]], writer: GoogleWriter) -> None:
    events = [event(name, click_ids={name: "Cj0"}) for name in ("gclid", "wbraid", "fbc")]
    outcome = writer.write(track(*events, email=[[], [], []]))
    assert outcome.rejected == dict.fromkeys(keys(2), "google:no_identifier")
    assert [each["transaction_id"] for each in received()] == ["gclid", "wbraid"]


def test_row_10_no_more_than_ten_identifiers_of_a_person(
    account: Account, received: Callable[[], list[dict[str, Any]]], writer: GoogleWriter
) -> None:
    assert writer.write(track(event(), email=[[digest(n) for n in range(11)]])).rejected == {}
    assert len(received()) == 1


def test_row_10_a_full_batch(
    account: Account, received: Callable[[], list[dict[str, Any]]], writer: GoogleWriter
) -> None:
    (_, stream) = destination.discover(account.settings()).streams
    limits = stream.limits
    assert limits is not None
    writer.write(track(*[event(f"full-{number}") for number in range(limits.rows)]))
    assert len(received()) == limits.rows == 2_000


def test_row_10_no_more_than_ten_conversion_actions(account: Account) -> None:
    with pytest.raises(SettingsError, match="conversion_actions"):
        account.settings(conversion_actions={f"event_{number}": str(number) for number in range(11)})


def test_a_batch_of_which_nothing_is_left_costs_no_call(account: Account, writer: GoogleWriter) -> None:
    account.fails("INVALID_EVENT", "events:ingest", field="events.events[0]")
    outcome = writer.write(track(event(event_name="searched")))
    assert (outcome.rejected, outcome.pending) == (dict.fromkeys(keys(0), "google:event_name"), None)


@pytest.mark.parametrize("field", ["events.events[1].currency", "events[1].currency"])
def test_an_event_that_google_names_is_refused_and_the_others_are_sent_again(
    account: Account, received: Callable[[], list[dict[str, Any]]], writer: GoogleWriter, field: Any
) -> None:
    account.fails("INVALID_CURRENCY_CODE", "events:ingest", field=field)
    outcome = writer.write(track(event("a"), event("b"), event("c")))
    assert outcome.rejected == dict.fromkeys(keys(1), "google:INVALID_CURRENCY_CODE")
    assert outcome.pending
    assert [each["transaction_id"] for each in received()] == ["a", "c"]


def test_row_34_a_currency_that_is_none_costs_its_event_only(
    received: Callable[[], list[dict[str, Any]]], writer: GoogleWriter
) -> None:
    outcome = writer.write(track(event("a"), event("b", value=1.0, currency="euro")))
    assert outcome.rejected == dict.fromkeys(keys(1), "google:INVALID_CURRENCY_CODE")
    assert [each["transaction_id"] for each in received()] == ["a"]


@pytest.mark.parametrize("field", ["events", "events.events[7]"])
def test_what_names_no_event_refuses_the_batch(account: Account, writer: GoogleWriter, field: Any) -> None:
    account.fails("INVALID_ARGUMENT", "events:ingest", field=field)
    with pytest.raises(RejectedError) as refusal:
        writer.write(track(event("a"), event("b")))
    assert refusal.value.reason == "google:INVALID_ARGUMENT"
    assert "jane" not in str(refusal.value)


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("INVALID_CONVERSION_ACTION_ID", "Check conversion_actions"),
        ("INVALID_CONVERSION_ACTION_TYPE", "Check conversion_actions"),
        ("CONVERSION_ACTION_TOO_RECENTLY_CREATED", "some hours after"),
        ("DESTINATION_ACCOUNT_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS", "enhanced conversions"),
        ("DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED", "customer data terms"),
        ("EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED", "Make the declaration"),
    ],
)
def test_what_a_person_must_do_ends_the_run(account: Account, writer: GoogleWriter, reason: Any, remedy: Any) -> None:
    account.fails(reason, "events:ingest")
    with pytest.raises(ConfigError) as stop:
        writer.write(track(event()))
    assert remedy in stop.value.remedy


@pytest.mark.parametrize(
    ("reason", "status"), [("INTERNAL_ERROR", 500), ("RESOURCE_EXHAUSTED", 429), ("DEADLINE_EXCEEDED", 504)]
)
def test_what_passes_is_tried_again_and_counts_once(
    account: Account, received: Callable[[], list[dict[str, Any]]], writer: GoogleWriter, reason: Any, status: Any
) -> None:
    account.fails(reason, "events:ingest", status=status, name=reason, kind="accepted_then_error")
    with pytest.raises(TransientError):
        writer.write(track(event("again")))
    writer.write(track(event("again")))
    assert [each["duplicate"] for each in received()] == [False, True]


def test_too_many_events_are_cut(account: Account, writer: GoogleWriter) -> None:
    account.fails("TOO_MANY_EVENTS", "events:ingest", field="events")
    with pytest.raises(RejectedError) as refusal:
        writer.write(track(event("a"), event("b")))
    assert refusal.value.reason == "google:TOO_MANY_EVENTS"


def test_without_actions_conversions_are_refused_with_the_setting(account: Account) -> None:
    with account.open() as writer, pytest.raises(ConfigError) as missing:
        writer.write(track(event()))
    assert missing.value.place == "settings.conversion_actions"
    assert missing.value.remedy.startswith("Name the conversion action of each event")


def test_an_action_of_another_account(account: Account) -> None:
    with (
        account.open(conversion_actions={"lead": "7631611119"}) as writer,
        pytest.raises(ConfigError, match=r"INVALID_CONVERSION_ACTION_ID.*Check conversion_actions"),
    ):
        writer.write(track(event()))


def test_actions_are_looked_at_only_where_some_are_set(
    account: Account, received: Callable[[], list[dict[str, Any]]], actions: dict[str, str]
) -> None:
    probe = destination.check(account.settings(conversion_actions=actions))[-1]
    assert (probe.name, probe.passed) == ("conversions", True)
    assert all(number in probe.detail for number in actions.values())
    assert received() == []
    assert "conversions" not in [probe.name for probe in destination.check(account.settings())]


def test_actions_that_are_not_there(account: Account) -> None:
    probe = destination.check(account.settings(conversion_actions={"lead": "7631611119"}))[-1]
    assert (probe.name, probe.passed, "Check conversion_actions" in probe.remedy) == ("conversions", False, True)
    account.fails("INVALID_ARGUMENT", "events:ingest", field="events")
    probe = destination.check(account.settings(conversion_actions={"lead": "7631611119"}))[-1]
    assert (probe.name, probe.remedy) == ("conversions", "Check their numbers")


def test_test_mode_keeps_nothing(
    account: Account, received: Callable[[], list[dict[str, Any]]], actions: dict[str, str]
) -> None:
    with account.open(conversion_actions=actions, test_mode=True) as writer:
        outcome = writer.write(track(event("test"), event("no", event_name="searched")))
    assert (outcome.pending, outcome.unknown) == (None, frozenset(keys(0)))
    assert outcome.rejected == dict.fromkeys(keys(1), "google:event_name")
    assert received() == []


def test_no_clear_identifier_is_on_the_wire_and_none_in_a_log(
    account: Account, actions: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    relay = Relay(account.url)
    canaries = {"external_id": [["CRM-CANARY"]], "mobile_ad_id": [["CANARY"]]}
    with relay.running(), account.open(base_url=relay.url, conversion_actions=actions) as writer:
        writer.write(track(event(ip_address="203.0.113.9"), **canaries))
    (request,) = relay.requests
    assert json.loads(request.body)["events"][0]["userData"] == {
        "userIdentifiers": [{"emailAddress": digest("0@example.com")}]
    }
    assert b"CANARY" not in request.body
    assert b"203.0.113.9" not in request.body
    assert account.token not in request.path
    for private in (account.token, "CANARY", "203.0.113.9", digest("0@example.com")):
        assert private not in caplog.text


def test_the_object_is_announced_after_the_audience(account: Account) -> None:
    audience, stream = destination.discover(account.settings(base_url="http://127.0.0.1:9")).streams
    assert (audience.name, stream.name, stream.profile) == ("audience", "conversions", "google")
    assert stream.operations == ("track",)
    assert {"email", "phone"} <= {*stream.matching_keys}
