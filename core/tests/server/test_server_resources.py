"""Each resource, over HTTP, on both databases."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.entities import DeadLetter, Funnel, SyncLog
from cdp_bridge.store import MemberRow
from cdp_bridge.store.secrets.keyring import VARIABLE
from msgspec.structs import replace

from .conftest import Api

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
USER_ID = [{"omniads_field": "user_id", "cdp_field": "id"}]
EVENT_NAME = {"omniads_field": "event_name", "cdp_field": "y"}
ENTRIES: dict[str, dict[str, Any]] = {
    "connections": {"name": "second", "cdp_provider": "source-shop", "api_credentials": {"account": "2"}},
    "destinations": {"name": "second", "connector": "destination-shop"},
    "mappings": {"name": "second", "rules": USER_ID},
    "audiences": {"name": "second", "connection": "crm", "segment": "new", "destination": "ads", "mapping": "people"},
    "conversions": {"name": "second", "connection": "crm", "destination": "ads", "mapping": "orders"},
}
CHANGES: dict[str, dict[str, Any]] = {
    "connections": {"sync_schedule": "daily"},
    "destinations": {"settings": {"account": "7"}},
    "mappings": {"rules": [{"omniads_field": "user_id", "cdp_field": "user"}]},
    "audiences": {"segment": "other"},
    "conversions": {"stream": "orders"},
}


@pytest.fixture
def people() -> Callable[[int], list[MemberRow]]:
    return lambda count: [(bytes([number]) * 16, b"f" * 16, f"u{number}", b"") for number in range(count)]


def log(run_id: str, **more: Any) -> SyncLog:
    return replace(SyncLog(run_id=run_id, audience="vip", sync_timestamp=AT, status="succeeded"), **more)


def save(api: Api, *logs: SyncLog) -> None:
    with api.store.transaction() as transaction:
        for one in logs:
            transaction.save_run(one)


@pytest.mark.parametrize("what", ENTRIES)
def test_an_entry_is_created_read_replaced_and_deleted(each_api: Api, what: str) -> None:
    entry, before = ENTRIES[what], len(each_api.all(f"/v1/{what}"))
    created = each_api.call("POST", f"/v1/{what}", entry)
    assert created.status_code == 201, created.text
    address = created.headers["Location"]
    assert address == f"/v1/{what}/second"
    read = each_api.call("GET", address)
    assert read.headers["ETag"] == created.headers["ETag"]
    changed = entry | CHANGES[what]
    replaced = each_api.call("PUT", address, changed, if_match=read.headers["ETag"])
    assert replaced.status_code == 200, replaced.text
    assert replaced.json().items() >= changed.items()
    assert each_api.call("GET", address).headers["ETag"] == replaced.headers["ETag"] != read.headers["ETag"]
    assert len(each_api.all(f"/v1/{what}?limit=1")) == before + 1
    assert each_api.call("DELETE", address, if_match=replaced.headers["ETag"]).status_code == 204
    assert each_api.call("GET", address).status_code == 404


@pytest.mark.parametrize("what", ENTRIES)
def test_what_is_read_has_the_shape_of_what_is_sent(each_api: Api, what: str) -> None:
    created = each_api.call("POST", f"/v1/{what}", ENTRIES[what])
    address, made = created.headers["Location"], created.json()
    assert made.items() >= ENTRIES[what].items()
    assert made == each_api.get(address)
    (listed,) = (each for each in each_api.all(f"/v1/{what}") if each["name"] == "second")
    assert listed | {"size": None} == made | {"size": None}
    again = each_api.call("PUT", address, made | {"updated_at": None}, if_match=created.headers["ETag"])
    assert (again.status_code, again.json(), again.headers["ETag"]) == (200, made, created.headers["ETag"])
    each_api.call("DELETE", address, if_match="*")


@pytest.mark.parametrize("what", ENTRIES)
def test_when_it_was_created_and_changed_is_known(each_api: Api, what: str) -> None:
    before = datetime.now(UTC)
    address = each_api.call("POST", f"/v1/{what}", ENTRIES[what]).headers["Location"]
    made = each_api.get(address)
    assert before <= datetime.fromisoformat(made["created_at"]) <= datetime.now(UTC)
    assert made["updated_at"] == made["created_at"]
    each_api.call("PATCH", address, CHANGES[what])
    changed = each_api.get(address)
    assert changed["created_at"] == made["created_at"] < changed["updated_at"]
    order = [each["name"] for each in each_api.all(f"/v1/{what}?sort=-updated_at&limit=1")]
    assert order[0] == "second"
    assert [each["name"] for each in each_api.all(f"/v1/{what}?sort=updated_at&limit=1")] == order[::-1]
    assert [each["name"] for each in each_api.all(f"/v1/{what}?sort=-name&limit=1")] == sorted(order, reverse=True)
    each_api.call("DELETE", address, if_match="*")


@pytest.mark.parametrize("what", ENTRIES)
def test_a_patch_changes_the_fields_that_it_names(each_api: Api, what: str) -> None:
    created = each_api.call("POST", f"/v1/{what}", ENTRIES[what])
    address, change = created.headers["Location"], CHANGES[what]
    assert each_api.call("PATCH", address, change, if_match='"old"').status_code == 412
    patched = each_api.call("PATCH", address, change, if_match=created.headers["ETag"])
    assert patched.status_code == 200, patched.text
    assert patched.json() == created.json() | change | {"updated_at": patched.json()["updated_at"]}
    (field,) = change
    taken_out = each_api.call("PATCH", address, {field: None})
    if field in ("rules", "segment"):
        assert (taken_out.status_code, taken_out.json()["errors"][0]["place"]) == (422, field)
    else:
        assert taken_out.json()[field] != change[field]
    for wrong in ({"name": "other"}, {"created_at": None}, {"nonsense": 1}):
        refused = each_api.call("PATCH", address, wrong)
        assert (refused.status_code, [fault["place"] for fault in refused.json()["errors"]]) == (422, list(wrong))
    assert each_api.call("PATCH", address, [1]).status_code == 400
    assert each_api.call("PATCH", f"/v1/{what}/none", change).status_code == 404
    each_api.call("DELETE", address, if_match="*")


def test_a_patch_goes_into_objects(each_api: Api) -> None:
    for patch, schedule in (
        ({"every": "1h"}, {"every": "1h", "retry": {}}),
        ({"jitter": "5m"}, {"every": "1h", "jitter": "5m", "retry": {}}),
        ({"every": None}, {"jitter": "5m", "retry": {}}),
        (None, None),
    ):
        assert each_api.call("PATCH", "/v1/audiences/vip", {"schedule": patch}).json()["schedule"] == schedule


def test_a_patch_may_name_its_own_type(each_api: Api) -> None:
    for kind, status in (
        ("application/merge-patch+json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/json-patch+json", 415),
    ):
        answer = each_api.call("PATCH", "/v1/audiences/vip", {"removal_limit": 0.2}, Content_Type=kind)
        assert answer.status_code == status, answer.text


def test_a_field_that_is_not_known_is_named_with_the_nearest_one(each_api: Api) -> None:
    audience = ENTRIES["audiences"] | {"name": "vip"}
    for method, address in (("POST", "/v1/audiences"), ("PUT", "/v1/audiences/vip"), ("PATCH", "/v1/audiences/vip")):
        for body, place, nearest in (
            ({"segmnt": "x"}, "segmnt", "segment"),
            ({"schedule": {"evry": "1h"}}, "schedule.evry", "every"),
            ({"consent": [{"purpose": "ads", "cdp_field": "x", "grantd": ["1"]}]}, "consent.0.grantd", "granted"),
        ):
            answer = each_api.call(method, address, audience | body, if_match="*")
            assert answer.status_code in (400, 422)
            (fault,) = answer.json()["errors"]
            assert (fault["place"], fault["remedy"]) == (place, f"Did you mean {nearest}?")


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("connections?cdp_provider=source-shop", ["crm"]),
        ("connections?cdp_provider=source-none", []),
        ("connections?connection_status=failed", []),
        ("destinations?connector=destination-shop", ["ads"]),
        ("destinations?connector=none", []),
        ("audiences?connection=crm&destination=ads&segment=vip&mapping=people&paused=false", ["vip"]),
        ("audiences?paused=true", []),
        ("audiences?segment=new", []),
        ("audiences?mapping=orders", []),
        ("conversions?mapping=orders&paused=false", ["orders"]),
        ("conversions?connection=none", []),
        ("connectors?kind=source", ["source-shop"]),
        ("connectors?sort=-name&limit=1", ["source-shop", "destination-shop"]),
        ("api-keys?role=viewer", ["viewer"]),
        ("api-keys?sort=-name&limit=1", ["viewer", "seer", "operator", "admin"]),
    ],
)
def test_lists_are_filtered_and_sorted(each_api: Api, path: str, names: list[str]) -> None:
    assert [each["name"] for each in each_api.all(f"/v1/{path}")] == names


def test_logs_are_read_in_both_orders_between_two_times(each_api: Api) -> None:
    save(each_api, *(log(f"r{n}", audience="orders", sync_timestamp=AT + timedelta(hours=n)) for n in range(4)))
    window = "audience=orders&since=2026-03-01T13:00:00Z&until=2026-03-01T16:00:00%2B01:00"
    assert [each["id"] for each in each_api.all(f"/v1/runs?{window}&limit=1")] == ["r2", "r1"]
    assert [each["id"] for each in each_api.all(f"/v1/runs?{window}&sort=at&limit=1")] == ["r1", "r2"]
    each_api.call("POST", "/v1/mappings", ENTRIES["mappings"])
    each_api.call("DELETE", "/v1/mappings/second", if_match="*")
    about = "kind=mapping&name=second&since=2026-03-01T13:00:00Z"
    newest = [each["number"] for each in each_api.all(f"/v1/audit?{about}&limit=1")]
    assert newest == sorted(newest, reverse=True)
    assert [each["number"] for each in each_api.all(f"/v1/audit?{about}&limit=1&sort=at")] == newest[::-1]
    assert {each["action"] for each in each_api.all(f"/v1/audit?{about}&action=delete")} == {"delete"}
    assert each_api.all("/v1/audit?who=nobody") == []


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("sort=size", "query sort"),
        ("since=2026-03-01T13:00:00", "query since"),
        ("until=yesterday", "query until"),
        ("until=2026-03-01T13:00:00", "query until"),
        ("state=asleep", "query state"),
        ("sort=at&cursor={cursor}", "query cursor"),
    ],
)
def test_a_wrong_filter_order_or_cursor_is_refused(each_api: Api, query: str, place: str) -> None:
    save(each_api, *(log(f"r{n}", audience="orders", sync_timestamp=AT + timedelta(hours=n)) for n in range(3)))
    cursor = each_api.get("/v1/runs?audience=orders&limit=1")["next"]
    answer = each_api.call("GET", f"/v1/runs?{query.format(cursor=cursor)}")
    assert (answer.status_code, answer.json()["errors"][0]["place"]) == (400, place)


@pytest.mark.parametrize("what", ENTRIES)
def test_who_has_not_seen_the_newest_version_changes_nothing(each_api: Api, what: str) -> None:
    each_api.call("POST", f"/v1/{what}", ENTRIES[what])
    address, changed = f"/v1/{what}/second", ENTRIES[what] | CHANGES[what]
    for method, body in (("PUT", changed), ("DELETE", None)):
        assert each_api.call(method, address, body).status_code == 428
        assert each_api.call(method, address, body, if_match='"old"').status_code == 412
    assert each_api.call("POST", f"/v1/{what}", changed).status_code == 409
    assert each_api.get(address) == each_api.get(address)
    each_api.call("DELETE", address, if_match="*")


@pytest.mark.parametrize("address", ["connections/crm", "destinations/ads", "mappings/people"])
def test_what_an_audience_uses_is_not_deleted(each_api: Api, address: str) -> None:
    assert each_api.call("DELETE", f"/v1/{address}", if_match="*").status_code == 409


@pytest.mark.parametrize(
    ("what", "wrong", "place"),
    [
        ("connections", {"cdp_provider": "source-none"}, "cdp_provider"),
        ("connections", {"api_credentials": {"token": "env:TOKEN"}}, "api_credentials.token"),
        ("connections", {"api_credentials": {"tokn": 1}}, "api_credentials.tokn"),
        ("connections", {"sync_schedule": "sometimes"}, "sync_schedule"),
        ("mappings", {"rules": [*USER_ID, {"omniads_field": "eye_colour", "cdp_field": "x"}]}, "rules.1.omniads_field"),
        ("audiences", {"connection": "none"}, "connection"),
        ("audiences", {"schedule": {"cron": "nonsense"}}, "schedule.cron"),
        ("audiences", {"removal_limit": 2}, "removal_limit"),
        ("audiences", {"unknown": 2}, "unknown"),
        ("destinations", {"name": "Wrong Name"}, "name"),
        ("conversions", {"mapping": "people"}, "mapping"),
        ("audiences", {"mapping": "orders"}, "mapping"),
        ("conversions", {"name": "vip"}, "name"),
        ("conversions", {"segment": "vip"}, "segment"),
        ("mappings", {"rules": [{"omniads_field": "event_id", "cdp_field": "x"}, EVENT_NAME]}, "rules"),
    ],
)
def test_what_is_wrong_is_named_by_place_and_remedy(each_api: Api, what: str, wrong: Any, place: str) -> None:
    answer = each_api.call("POST", f"/v1/{what}", ENTRIES[what] | wrong)
    assert answer.status_code in (400, 422)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [one["place"] for one in answer.json()["errors"]] == [place]
    assert all(one["problem"] and one["remedy"] for one in answer.json()["errors"])


def test_connectors_are_listed_with_their_settings(each_api: Api) -> None:
    found = {one["name"]: one for one in each_api.all("/v1/connectors")}
    assert sorted(found) == ["destination-shop", "source-shop"]
    assert found["source-shop"]["spec"]["properties"]["token"]["airbyte_secret"]
    assert each_api.get("/v1/connectors/source-shop") == found["source-shop"]


def test_a_check_is_remembered_until_the_connection_changes(each_api: Api) -> None:
    assert each_api.call("POST", "/v1/connections/crm/check").json()["passed"]
    connected = each_api.call("GET", "/v1/connections/crm")
    assert connected.json()["connection_status"] == "connected"
    each_api.cdp.is_down = True
    assert not each_api.call("POST", "/v1/connections/crm/check").json()["passed"]
    assert each_api.get("/v1/connections/crm")["connection_status"] == "failed"
    body, version = {"name": "crm", "cdp_provider": "source-shop"}, connected.headers["ETag"]
    assert each_api.call("PUT", "/v1/connections/crm", body, if_match=version).status_code == 200
    assert each_api.get("/v1/connections/crm")["connection_status"] == "unchecked"


def test_segments_of_the_cdp_are_discovered_and_remembered(each_api: Api) -> None:
    found = each_api.call("POST", "/v1/connections/crm/discover").json()
    assert [one["name"] for one in found["streams"]] == ["audiences", "people"]
    segments = each_api.all("/v1/segments?connection=crm")
    assert [(one["segment_id"], one["segment_name"], one["member_count"]) for one in segments] == [
        ("new", "New", None),
        ("vip", "VIP", 12),
    ]
    each_api.cdp.is_down = True
    assert each_api.call("POST", "/v1/connections/crm/discover").status_code == 503
    assert len(each_api.all("/v1/segments")) == 2


def test_a_destination_tells_what_it_takes_and_reaches(each_api: Api) -> None:
    found = each_api.call("POST", "/v1/destinations/ads/discover").json()
    assert [one["name"] for one in found["objects"]] == ["audience"]
    assert found["inventory"]["accounts"] == {"1": "Main"}
    assert [(one["id"], one["name"]) for one in found["inventory"]["audiences"]] == [("a1", "VIP")]


def test_an_audience_tells_size_funnel_and_match_rate(each_api: Api, people: Callable[[int], list[MemberRow]]) -> None:
    save(each_api, log("r1", match_rate=0.5, funnel=Funnel(in_segment=4, accepted=2)))
    with each_api.store.transaction() as transaction:
        transaction.put_members("vip", people(3), "accepted", AT)
    found = each_api.get("/v1/audiences/vip")
    assert found["size"] == 3
    assert found["last_run"]["match_rate"] == 0.5
    assert found["last_run"]["funnel"]["in_segment"] == 4


def test_pausing_is_seen_and_undone(each_api: Api) -> None:
    assert each_api.call("POST", "/v1/audiences/vip/pause").json()["paused"]
    assert [one["paused"] for one in each_api.all("/v1/audiences")] == [True]
    assert each_api.call("POST", "/v1/connections/crm/resume").json() == {
        "paused": False,
        "audiences": ["vip", "orders"],
    }
    assert not each_api.get("/v1/audiences/vip")["paused"]


def test_conversions_are_paused_and_run(each_api: Api) -> None:
    assert each_api.call("POST", "/v1/conversions/orders/pause").json()["paused"]
    assert [one["paused"] for one in each_api.all("/v1/conversions")] == [True]
    assert not each_api.call("POST", "/v1/conversions/orders/resume").json()["paused"]
    asked = each_api.call("POST", "/v1/conversions/orders/sync")
    assert (asked.status_code, asked.json()["audience"]) == (202, "orders")
    for path in ("conversions/vip/sync", "audiences/orders/sync", "conversions/none/pause"):
        assert each_api.call("POST", f"/v1/{path}").status_code == 404


@pytest.mark.parametrize(("action", "approves"), [("sync", False), ("approve-removals", True)])
def test_a_run_is_asked_for(each_api: Api, action: str, approves: bool) -> None:
    asked = each_api.call("POST", f"/v1/audiences/vip/{action}")
    assert asked.status_code == 202
    stored = each_api.store.requests.get(asked.json()["id"])
    assert stored
    assert (stored.state, stored.approve_removals) == ("queued", approves)


def test_a_run_is_cancelled_and_tried_again(each_api: Api) -> None:
    run = each_api.call("POST", "/v1/audiences/vip/sync").json()["id"]
    assert each_api.call("POST", f"/v1/runs/{run}/retry").status_code == 409
    assert each_api.call("POST", f"/v1/runs/{run}/cancel").json()["state"] == "cancelled"
    assert each_api.call("POST", f"/v1/runs/{run}/cancel").status_code == 409
    again = each_api.call("POST", f"/v1/runs/{run}/retry").json()
    assert (again["audience"], again["state"]) == ("vip", "queued")
    assert again["id"] != run


def test_runs_of_requests_and_of_the_command_line_are_one_list(each_api: Api) -> None:
    run = each_api.call("POST", "/v1/audiences/vip/sync").json()["id"]
    save(each_api, log("by-hand"), log("asked-for"))
    with each_api.store.requests.hold("vip") as lease:
        each_api.store.requests.start(run, lease)
        save(each_api, log("asked-for", status="running", records_processed=5))
        assert each_api.get(f"/v1/runs/{run}")["log"]["records_processed"] == 5
        assert "asked-for" not in [one["id"] for one in each_api.all("/v1/runs")]
        save(each_api, log("asked-for"))
        each_api.store.requests.finish(run, lease, "succeeded", "asked-for")
    listed = {one["id"]: one for one in each_api.all("/v1/runs?limit=1&audience=vip")}
    assert listed[run]["log"]["run_id"] == "asked-for"
    assert listed["by-hand"]["request"] is None
    assert "asked-for" not in listed
    assert {one["state"] for one in each_api.all("/v1/runs?state=succeeded")} == {"succeeded"}


def test_dead_letters_are_sent_again(each_api: Api) -> None:
    dead_letters = [
        DeadLetter(
            audience="vip",
            member_key=bytes([number]) * 16,
            fingerprint=b"f" * 16,
            operation="add",
            reason=reason,
            run_id="r",
            created_at=AT,
        )
        for number, reason in enumerate(("shop:bad", "shop:bad", "shop:worse"))
    ]
    with each_api.store.transaction() as transaction:
        transaction.save_dead_letters(dead_letters)
    assert len(each_api.all("/v1/dead-letters?limit=1&audience=vip")) == 3
    answer = each_api.call("POST", "/v1/dead-letters/replay", {"audience": "vip", "reason": "shop:bad"}).json()
    assert answer["dead_letters"] == 2
    assert answer["run"]["state"] == "queued"
    assert [one["reason"] for one in each_api.all("/v1/dead-letters")] == ["shop:worse"]
    with each_api.store.transaction() as transaction:
        transaction.delete_dead_letters("vip", [dead_letters[2].member_key])


def test_suppressed_people_are_kept_as_digests_of_every_way_of_hashing(each_api: Api) -> None:
    body = {"values": ["ada.b@gmail.com", "+14155550101", "f" * 64, "???"]}
    answer = each_api.call("POST", "/v1/suppressions", body)
    assert answer.json() == {"understood": 3, "not_understood": [3]}
    # Of the address there are two, with and without its dot, and two of the phone, with and without its plus.
    assert each_api.all("/v1/suppressions?limit=1") == [{"source": "api", "count": 6}]
    each_api.call("POST", "/v1/suppressions/remove", {"values": ["ada.b@gmail.com", "f" * 64]})
    assert each_api.all("/v1/suppressions") == [{"source": "api", "count": 2}]
    each_api.call("POST", "/v1/suppressions/remove", {"values": ["+14155550101"]})
    assert each_api.all("/v1/suppressions") == []


@pytest.mark.parametrize(
    "what",
    [
        {"mapping": "people", "records": [{"id": "u1", "email": "Ada@Example.com"}, {"id": "u2", "email": "nobody"}]},
        {"mapping": "people", "sample": {"connection": "crm", "segment": "vip"}},
    ],
)
def test_a_mapping_is_tried_on_records(each_api: Api, what: dict[str, Any]) -> None:
    body = {"profile": "meta"} | what
    ada, other = each_api.call("POST", "/v1/mappings/preview", body, role="seer").json()["records"]
    assert ada["values"][0]["value"] == hashlib.sha256(b"ada@example.com").hexdigest()
    assert other["values"][0]["rejected"]
    hidden = each_api.call("POST", "/v1/mappings/preview", body)
    if "sample" in what:
        assert (hidden.status_code, "fewer than 50 people" in hidden.text) == (422, True)
    else:
        assert [one["values"][0]["value"] for one in hidden.json()["records"]] == [None, None]


def test_every_change_is_in_the_audit_log(each_api: Api) -> None:
    each_api.call("POST", "/v1/mappings", ENTRIES["mappings"])
    each_api.call("PUT", "/v1/mappings/second", ENTRIES["mappings"] | CHANGES["mappings"], if_match="*")
    each_api.call("DELETE", "/v1/mappings/second", if_match="*")
    newest = each_api.all("/v1/audit")[:3]
    assert [(one["action"], one["kind"], one["name"]) for one in newest] == [
        ("delete", "mapping", "second"),
        ("change", "mapping", "second"),
        ("create", "mapping", "second"),
    ]
    assert newest[1]["changes"] == [{"field": "0.cdp_field", "action": "changed", "old": "id", "new": "user"}]
    assert newest[0]["who"].endswith(" admin")
    assert datetime.now(UTC) - datetime.fromisoformat(newest[0]["at"]) < timedelta(minutes=1)


def test_the_settings_of_an_account_are_not_in_the_audit_log(
    each_api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "keyring"))
    body = ENTRIES["connections"] | {"api_credentials": {"token": "canary", "account": "canary"}}
    assert each_api.call("POST", "/v1/connections", body).status_code == 201
    each_api.call("PUT", "/v1/connections/second", body | {"api_credentials": {"account": "bird"}}, if_match="*")
    each_api.call("DELETE", "/v1/connections/second", if_match="*")
    newest = each_api.call("GET", "/v1/audit?limit=3")
    assert "canary" not in newest.text
    assert "bird" not in newest.text
    assert newest.json()["items"][1]["changes"] == [
        {"field": "api_credentials.token", "action": "removed"},
        {"field": "api_credentials.account", "action": "changed"},
    ]
