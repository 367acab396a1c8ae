"""Conversion events: what arrives and for whom, what is refused before it is sent, and what each code means."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sandbox
from cdp_bridge.model import Writer
from cdp_bridge.sdk import AudienceRef, Batch, ConfigError, Conversion, Item, RejectedError, TransientError
from cdp_bridge.testing.numbered import digest, keys
from cdp_bridge.testing.relay import Relay
from destination_tiktok import destination
from sandbox.people import generate
from sandbox.tiktok.events import STANDARD

from .conftest import Account

PEOPLE = 20
KINDS = ("web", "app", "offline", "crm")


@pytest.fixture(scope="module")
def twin_url() -> Iterator[str]:
    """A twin that knows people."""
    with sandbox.running(people=PEOPLE) as running:
        yield running.tiktok


@pytest.fixture(autouse=True)
def source(account: Account) -> str:
    """An event source of the test's own, of every kind."""
    code = f"C{account.number}"
    account.configure(advertisers={account.number: {kind: [code] for kind in KINDS}})
    return code


@pytest.fixture
def writer(account: Account, source: str) -> Iterator[Writer]:
    with account.open(event_source_id=source) as writer:
        yield writer


def event(event_id: str = "e-1", event_name: str = "lead", **changes: Any) -> Conversion:
    web: dict[str, Any] = {"url": "https://shop.example/thanks", "user_agent": "Mozilla/5.0"}
    web |= {"occurred_at": time.time() - 60}
    return Conversion(**{"event_id": event_id, "event_name": event_name} | web | changes)


def track(*events: Conversion, **columns: Any) -> Batch:
    """Conversions of members by their places, each with an e-mail address of its own unless `email` says otherwise."""
    members = range(len(events))
    columns = {"email": [[digest(f"{member}@example.com")] for member in members]} | columns
    reference = AudienceRef(id="conversions", account="7000000000000000001")
    return Batch(audience=reference, operation="track", keys=keys(*members), identifiers=columns, events=events)


@pytest.fixture
def received(account: Account, source: str) -> Callable[[], list[dict[str, Any]]]:
    """The events that the twin took."""
    return lambda: [each for each in account.lines("events") if each["pixel_id"] == source]


NAMES = {
    "purchase": "Purchase",
    "add_to_cart": "AddToCart",
    "begin_checkout": "InitiateCheckout",
    "add_payment_info": "AddPaymentInfo",
    "lead": "Lead",
    "sign_up": "CompleteRegistration",
    "start_trial": "StartTrial",
    "subscribe": "Subscribe",
    "view_item": "ViewContent",
    "search": "Search",
    "Purchase": "Purchase",
    "won_a_game": "won_a_game",
}


@pytest.mark.parametrize("upload", ["streaming", "file"])
def test_each_event_arrives_under_tiktoks_name(
    account: Account, received: Callable[[], list[dict[str, Any]]], source: str, upload: Any
) -> None:
    with account.open(event_source_id=source, upload=upload) as writer:
        outcome = writer.write(track(*[event(f"name-{name}", name, value=12.5, currency="EUR") for name in NAMES]))
    assert (outcome.rejected, outcome.unknown, outcome.pending) == ({}, frozenset(), None)
    assert [each["event_name"] for each in received()] == list(NAMES.values())


def test_an_offline_set_takes_every_standard_event_and_no_other(
    account: Account, received: Callable[[], list[dict[str, Any]]], source: str
) -> None:
    with account.open(event_source_id=source, event_source="offline") as writer:
        outcome = writer.write(track(*[event(name, name, source="store") for name in NAMES]))
    assert outcome.rejected == dict.fromkeys(keys(len(NAMES) - 1), "tiktok:event_name")
    assert {each["event_name"] for each in received()} == {*NAMES.values()} & STANDARD


def test_a_crm_set_takes_events_of_our_own_names_only(
    account: Account, received: Callable[[], list[dict[str, Any]]], source: str
) -> None:
    with account.open(event_source_id=source, event_source="crm") as writer:
        outcome = writer.write(track(*[event(name, name, source="crm") for name in ("lead", "Lead", "won")]))
    assert outcome.rejected == dict.fromkeys(keys(1), "tiktok:event_name")
    assert [each["event_name"] for each in received()] == ["lead", "won"]


def test_everything_arrives_under_tiktoks_keys(account: Account, source: str) -> None:
    moment = int(time.time()) - 60
    columns = {
        "email": [[digest("a"), digest("b")]],
        "phone": [[digest("p")]],
        "external_id": [[digest("CRM-0042")]],
        "mobile_ad_id": [[digest("m")]],
        "first_name": [[digest("no column of TikTok")]],
    }
    bought = event(
        event_name="purchase",
        occurred_at=moment + 0.9,
        value=0.0,
        currency="EUR",
        order_id="991",
        items=(Item(id="sku1", quantity=2.0, price=6.25), Item(id="sku2", quantity=0.5)),
        click_ids={"ttclid": "E.C.P.v3fQ2", "ttp": "2F7h", "fbc": "not for TikTok"},
        ip_address="203.0.113.9",
    )
    settings = account.settings(event_source_id=source, test_event_code="TEST1")
    sent = destination.preview(settings, track(bought, **columns))
    assert (sent["method"], sent["url"]) == ("POST", f"{account.url}/open_api/v1.3/event/track/")
    assert sent["headers"]["Access-Token"] == "***"
    assert sent["json"] == {
        "event_source": "web",
        "event_source_id": source,
        "data": [
            {
                "event": "Purchase",
                "event_time": moment,
                "event_id": "e-1",
                "user": {
                    "email": [digest("a"), digest("b")],
                    "phone": [digest("p")],
                    "external_id": [digest("CRM-0042")],
                    "ttclid": "E.C.P.v3fQ2",
                    "ttp": "2F7h",
                    "ip": "203.0.113.9",
                    "user_agent": "Mozilla/5.0",
                },
                "properties": {
                    "value": 0.0,
                    "currency": "EUR",
                    "order_id": "991",
                    "content_type": "product",
                    "contents": [{"content_id": "sku1", "quantity": 2, "price": 6.25}, {"content_id": "sku2"}],
                },
                "page": {"url": "https://shop.example/thanks"},
            }
        ],
        "test_event_code": "TEST1",
    }


@pytest.mark.parametrize(
    ("kind", "where", "user"),
    [
        ("web", "web", ["external_id"]),
        ("app", "app", ["gaid", "idfa"]),
        ("offline", "store", []),
        ("crm", "crm", ["external_id"]),
    ],
)
def test_each_source_gets_what_it_takes(
    account: Account, received: Callable[[], list[dict[str, Any]]], source: str, kind: Any, where: Any, user: Any
) -> None:
    ids = {"external_id": [[digest("x")]], "mobile_ad_id": [[digest("m")]]}
    batch = track(event(event_name="won" if kind == "crm" else "lead", source=where), **ids)
    changes = {"event_source_id": source, "event_source": kind}
    (sent,) = destination.preview(account.settings(**changes), batch)["json"]["data"]
    assert sorted(sent["user"].keys() - {"email", "user_agent"}) == user
    assert ("page" in sent) == (kind == "web")
    with account.open(**changes) as writer:
        assert writer.write(batch).rejected == {}
    assert [each["action_source"] for each in received()] == [kind]


def test_tiktok_knows_the_people_again(received: Callable[[], list[dict[str, Any]]], writer: Writer) -> None:
    people = [person for person in generate(PEOPLE, seed=1) if person.emails][:5]
    events = [event(f"person-{i}") for i in range(5)]
    writer.write(track(*events, email=[[digest(person.emails[0].true)] for person in people]))
    assert [each["person_id"] for each in received()] == [person.human_id for person in people]


def test_a_repeat_counts_once(account: Account, received: Callable[[], list[dict[str, Any]]], writer: Writer) -> None:
    for _ in range(2):
        writer.write(track(event("twice")))
    account.fault("accepted_then_reset", "/track/")
    with pytest.raises(TransientError):
        writer.write(track(event("unanswered")))
    writer.write(track(event("unanswered")))
    assert [each["event_id"] for each in received() if not each["duplicate"]] == ["twice", "unanswered"]


def test_events_that_tiktok_calls_a_duplicate_are_there(
    account: Account, received: Callable[[], list[dict[str, Any]]], writer: Writer
) -> None:
    account.fails(40050, "/track/", kind="accepted_then_error")
    outcome = writer.write(track(event("a"), event("b", url=None)))
    assert (outcome.rejected, outcome.unknown) == (dict.fromkeys(keys(1), "tiktok:no_url"), frozenset())
    assert [each["event_id"] for each in received()] == ["a"]


def test_row_32_what_tiktok_would_refuse_is_named_and_the_rest_goes(
    received: Callable[[], list[dict[str, Any]]], writer: Writer
) -> None:
    wrong: dict[str, dict[str, Any]] = {"tiktok:source": {"source": "store"}, "tiktok:no_url": {"url": None}}
    events = [event(f"wrong-{reason}", **changes) for reason, changes in wrong.items()]
    outcome = writer.write(track(event("good-1"), *events, event("good-2")))
    assert outcome.rejected == dict(zip(keys(1, 2), wrong, strict=True))
    assert [each["event_id"] for each in received()] == ["good-1", "good-2"]


@pytest.mark.parametrize("ip_address", [None, "203.0.113.9"])
def test_nobody_to_match(received: Callable[[], list[dict[str, Any]]], writer: Writer, ip_address: Any) -> None:
    outcome = writer.write(track(event(ip_address=ip_address), email=[[]]))
    assert outcome.rejected == ({} if ip_address else dict.fromkeys(keys(0), "tiktok:no_identifier"))
    assert len(received()) == bool(ip_address)


def test_a_batch_of_which_nothing_is_left_costs_no_call(account: Account, writer: Writer) -> None:
    account.fails(40002, "/track/")
    assert writer.write(track(event(url=None))).rejected == dict.fromkeys(keys(0), "tiktok:no_url")


def test_row_32_a_full_batch(account: Account, received: Callable[[], list[dict[str, Any]]], writer: Writer) -> None:
    (_, stream) = destination.discover(account.settings()).streams
    limits = stream.limits
    assert limits is not None
    writer.write(track(*[event(f"full-{number}") for number in range(limits.rows)]))
    assert len(received()) == limits.rows == 1_000


def test_row_32_one_event_that_tiktok_refuses_spoils_the_request(
    received: Callable[[], list[dict[str, Any]]], writer: Writer
) -> None:
    with pytest.raises(RejectedError) as refusal:
        writer.write(track(event("spoilt"), event("good"), email=[["jane@example.com"], [digest("a")]]))
    assert refusal.value.reason == "tiktok:40002"
    assert "jane" not in str(refusal.value)
    assert received() == []


def test_row_33_a_pixel_of_another(account: Account) -> None:
    with account.open(event_source_id="C9OTHER") as writer, pytest.raises(ConfigError, match=r"40001.*event_source_id"):
        writer.write(track(event()))


@pytest.mark.parametrize("code", [40016, 40100, 40132, 40133, 61000])
def test_row_34_after_a_second_limit_error_it_is_silent_for_five_minutes(
    account: Account, writer: Writer, code: Any
) -> None:
    waits = []
    for _ in range(2):
        account.fails(code, "/track/")
        with pytest.raises(TransientError) as limited:
            writer.write(track(event()))
        waits.append(limited.value.retry_after)
    assert waits == [1, 300]


@pytest.mark.parametrize("code", [50000, 50002, 51010, 60001, 40202])
def test_what_passes_is_tried_again_and_counts_once(
    account: Account, received: Callable[[], list[dict[str, Any]]], writer: Writer, code: Any
) -> None:
    account.fails(code, "/track/", kind="accepted_then_error")
    with pytest.raises(TransientError):
        writer.write(track(event("again")))
    writer.write(track(event("again")))
    assert [each["duplicate"] for each in received()] == [False, True]


def test_events_of_which_tiktok_took_a_part_are_unknown(account: Account, writer: Writer) -> None:
    account.fails(20001, "/track/", data={"failed": ["a"]})
    outcome = writer.write(track(event("a"), event("b", url=None)))
    assert (outcome.rejected, outcome.unknown) == (dict.fromkeys(keys(1), "tiktok:no_url"), frozenset(keys(0)))


def test_an_answer_without_data_is_a_success(account: Account, writer: Writer) -> None:
    account.fault("status", "/track/", status=200, body={"code": 0, "message": "OK"})
    assert writer.write(track(event())).unknown == frozenset()


def test_row_05_a_token_that_is_revoked_while_we_write(account: Account, writer: Writer) -> None:
    account.configure_token(calls_left=1)
    writer.write(track(event("first")))
    with pytest.raises(ConfigError, match=r"40105.*set access_token"):
        writer.write(track(event("second")))


def test_row_07_a_token_without_the_scope(account: Account, writer: Writer) -> None:
    account.configure_token(scopes=[3])
    with pytest.raises(ConfigError, match=r"40130.*for conversions also Pixel"):
        writer.write(track(event()))


def test_without_an_event_source_conversions_are_refused_with_the_setting(account: Account) -> None:
    with account.open() as writer, pytest.raises(ConfigError) as missing:
        writer.write(track(event()))
    assert missing.value.place == "settings.event_source_id"
    assert missing.value.remedy.startswith("Set it to the code of a pixel")


def test_a_pixel_is_looked_at_only_where_one_is_set(account: Account, source: str) -> None:
    probe = destination.check(account.settings(event_source_id=source))[-1]
    assert (probe.name, probe.passed, probe.detail) == ("event source", True, f"pixel {source} is there")
    for changes in ({}, {"event_source_id": source, "event_source": "crm"}):
        assert "event source" not in [probe.name for probe in destination.check(account.settings(**changes))]


def test_a_pixel_that_is_not_there(account: Account, source: str) -> None:
    probe = destination.check(account.settings(event_source_id="C9OTHER"))[-1]
    assert (probe.name, probe.passed) == ("event source", False)
    assert (probe.detail, "belongs to this advertiser" in probe.remedy) == (
        "settings.event_source_id: the advertiser has no such pixel",
        True,
    )
    account.configure_token(scopes=[3])
    probe = destination.check(account.settings(event_source_id=source))[-1]
    assert (probe.name, "for conversions also Pixel" in probe.remedy) == ("event source", True)


def test_test_mode_marks_the_events(
    account: Account, received: Callable[[], list[dict[str, Any]]], source: str
) -> None:
    with account.open(event_source_id=source, test_event_code="TEST1") as writer:
        writer.write(track(event("test")))
    assert [each["test"] for each in received()] == [True]


def test_no_clear_identifier_is_on_the_wire_and_none_in_a_log(
    account: Account, source: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    relay = Relay(account.url)
    with relay.running(), account.open(base_url=relay.url, event_source_id=source) as writer:
        writer.write(track(event(ip_address="203.0.113.9"), external_id=[[digest("CRM-CANARY")]], city=[["CANARY"]]))
    (request,) = relay.requests
    assert json.loads(request.body)["data"][0]["user"]["external_id"] == [digest("CRM-CANARY")]
    assert b"CANARY" not in request.body
    assert account.token not in request.path
    for private in (account.token, "CANARY", "203.0.113.9", digest("0@example.com"), digest("CRM-CANARY")):
        assert private not in caplog.text


def test_nothing_is_ever_pending(writer: Writer) -> None:
    assert writer.settle(track().audience, "x").pending is None


def test_the_object_is_announced_after_the_audience(account: Account) -> None:
    audience, stream = destination.discover(account.settings(base_url="http://127.0.0.1:9")).streams
    assert (audience.name, stream.name, stream.profile) == ("audience", "conversions", "tiktok-events")
    assert stream.operations == ("track",)
    assert {"email", "external_id"} <= {*stream.matching_keys}
