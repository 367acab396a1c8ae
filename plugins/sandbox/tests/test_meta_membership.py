"""What the Meta twin holds after adds and removals, and what it tells about it."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from aiohttp import web

from .conftest import MetaClient


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


ANN, ANN_TOO = sha("ann@example.com"), sha("ann@example.org")
BOB, CEM = sha("bob@example.com"), sha("cem@example.com")
HOUSEHOLD = sha("15550100002")
STRANGER = sha("nobody@example.net")


def payload_of(email: str) -> dict[str, Any]:
    return {"schema": ["EMAIL"], "data": [[email]]}


@pytest.fixture
def audience(meta_twin: MetaClient) -> str:
    return meta_twin.create()


@pytest.fixture
def people(meta_twin: MetaClient, audience: str) -> Callable[[], list[Any]]:
    return lambda: meta_twin.lines(f"audiences/{audience}/people")


@pytest.fixture
def rows(meta_twin: MetaClient, audience: str) -> Callable[[], list[Any]]:
    return lambda: meta_twin.lines(f"audiences/{audience}/rows")


def test_a_person_is_held_once_whatever_identifies_them(
    meta_twin: MetaClient, audience: str, people: Callable[[], list[Any]], rows: Callable[[], list[Any]]
) -> None:
    meta_twin.add(audience, ["EMAIL", "PHONE"], [[ANN, ""], [ANN_TOO, ""], ["", sha("15550100001")]])
    assert people() == ["p-ann"]
    assert len(rows()) == 3
    meta_twin.remove(audience, ["EMAIL"], [[ANN_TOO]])
    assert (people(), len(rows())) == (["p-ann"], 2)
    meta_twin.remove(audience, ["EMAIL", "PHONE"], [[ANN, ""], ["", sha("15550100001")]])
    assert (people(), rows()) == ([], [])


def test_adding_again_and_removing_an_absent_one_change_nothing(
    meta_twin: MetaClient, audience: str, rows: Callable[[], list[Any]]
) -> None:
    for _ in range(2):
        assert meta_twin.add(audience, ["EMAIL"], [[ANN], [STRANGER]]).json()["num_received"] == 2
    meta_twin.remove(audience, ["EMAIL"], [[BOB]])
    assert rows() == [{"EMAIL": ANN}, {"EMAIL": STRANGER}]
    for _ in range(2):
        meta_twin.remove(audience, ["EMAIL"], [[STRANGER]])
    assert rows() == [{"EMAIL": ANN}]


def test_removing_takes_every_row_that_shares_a_strong_identifier(
    meta_twin: MetaClient, audience: str, people: Callable[[], list[Any]]
) -> None:
    meta_twin.add(audience, ["EMAIL", "PHONE"], [[BOB, HOUSEHOLD], [CEM, HOUSEHOLD], [ANN, ""]])
    assert people() == ["p-ann", "p-bob", "p-cem"]
    meta_twin.remove(audience, ["EMAIL", "PHONE"], [[CEM, HOUSEHOLD]])
    assert people() == ["p-ann"]


def test_removing_by_own_identifier_leaves_the_household(
    meta_twin: MetaClient, audience: str, people: Callable[[], list[Any]]
) -> None:
    meta_twin.add(audience, ["EMAIL"], [[BOB], [CEM]])
    meta_twin.remove(audience, ["EMAIL"], [[CEM]])
    assert people() == ["p-bob"]


def test_unmatched_row_goes_by_any_of_its_strong_identifiers(
    meta_twin: MetaClient, audience: str, rows: Callable[[], list[Any]]
) -> None:
    unknown = sha("15550100099")
    meta_twin.add(audience, ["EMAIL", "PHONE", "FN"], [[STRANGER, unknown, sha("x")], [STRANGER, "", sha("y")]])
    meta_twin.remove(audience, ["PHONE"], [[unknown]])
    assert rows() == [{"EMAIL": STRANGER, "FN": sha("y")}]
    meta_twin.add(audience, ["EMAIL", "PHONE", "FN"], [[STRANGER, unknown, sha("x")]])
    meta_twin.remove(audience, ["EMAIL"], [[STRANGER]])
    assert rows() == []


def test_row_of_weak_identifiers_is_removed_by_the_same_row(
    meta_twin: MetaClient, audience: str, rows: Callable[[], list[Any]]
) -> None:
    row = [sha("ann"), sha("smith"), sha("94035")]
    meta_twin.add(audience, ["FN", "LN", "ZIP"], [row])
    meta_twin.remove(audience, ["FN"], [[sha("ann")]])
    assert len(rows()) == 1
    meta_twin.remove(audience, ["ZIP", "FN", "LN"], [[row[2], *row[:2]]])
    assert rows() == []


def test_extern_id_is_learned_beside_a_match_for_90_days(
    meta_twin: MetaClient, audience: str, people: Callable[[], list[Any]]
) -> None:
    other = meta_twin.create(name="Other")
    meta_twin.add(other, ["EMAIL", "EXTERN_ID"], [[ANN, "CRM-1"], [STRANGER, "CRM-2"]])
    meta_twin.add(audience, ["EXTERN_ID"], [["CRM-1"], ["CRM-2"]])
    assert people() == ["p-ann"]
    meta_twin.remove(audience, ["EXTERN_ID"], [["CRM-1"]])
    assert people() == []
    meta_twin.advance(90 * 24 * 3600)
    meta_twin.add(audience, ["EXTERN_ID"], [["CRM-1"]])
    assert people() == []


def test_row_without_any_identifier_is_invalid(
    meta_twin: MetaClient, audience: str, rows: Callable[[], list[Any]]
) -> None:
    assert meta_twin.add(audience, ["EMAIL", "PHONE"], [["", ""], [ANN, ""]]).json()["num_invalid_entries"] == 1
    assert rows() == [{"EMAIL": ANN}]


def test_uid_needs_an_app_and_page_uid_one_page(
    meta_twin: MetaClient, audience: str, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    assert refusal(meta_twin.add(audience, ["UID"], [["123"]])) == (400, 100, None)
    payload = {"schema": ["UID"], "data": [["123"], ["x"]], "app_ids": ["1"]}
    assert meta_twin.post(f"{audience}/users", payload=payload).json()["num_invalid_entries"] == 1
    payload = {"schema": ["PAGEUID"], "data": [["123"]], "page_ids": ["1", "2"]}
    assert refusal(meta_twin.post(f"{audience}/users", payload=payload)) == (400, 100, None)


def test_post_with_method_delete_removes(meta_twin: MetaClient, audience: str, people: Callable[[], list[Any]]) -> None:
    meta_twin.add(audience, ["EMAIL"], [[ANN], [BOB], [CEM]])
    url, token = f"{meta_twin.url}/v26.0/{audience}/users", {"access_token": "sandbox-token"}
    in_query = meta_twin.http.post(f"{url}?method=DELETE", json=token | {"payload": payload_of(ANN)})
    in_json = meta_twin.http.post(url, json=token | {"method": "delete", "payload": payload_of(BOB)})
    in_form = meta_twin.http.post(url, data=token | {"method": "DELETE", "payload": json.dumps(payload_of(CEM))})
    assert [answer.json()["num_received"] for answer in (in_query, in_json, in_form)] == [1, 1, 1]
    assert people() == []
    routes = meta_twin.control("GET", "requests")["routes"]
    assert routes["DELETE /{audience}/users"] == 3
    assert routes["POST /{audience}/users"] == 1


def test_size_is_a_rounded_range_and_status_follows_the_clock(meta_twin: MetaClient, audience: str) -> None:
    fields = "approximate_count_lower_bound,approximate_count_upper_bound,operation_status"

    def shown() -> list[int]:
        found = meta_twin.get(audience, fields=fields).json()
        return [found["operation_status"]["code"], *[found[name] for name in fields.split(",")[:2]]]

    meta_twin.configure(populating=600)
    assert shown() == [410, -1, -1]
    meta_twin.add(audience, ["EMAIL"], [[ANN]])
    assert shown() == [441, -1, -1]
    meta_twin.advance(601)
    assert shown() == [200, 0, 100]


def test_large_audience_is_usable(serve: Callable[[web.Application], str], person: Any, meta_twin: MetaClient) -> None:
    from sandbox import meta

    crowd = [person(f"p-{n}", emails=[f"user{n}@example.com"]) for n in range(1_234)]
    client = type(meta_twin)(serve(meta.create_app(crowd)))
    audience = client.create()
    client.add(audience, ["EMAIL"], [[sha(f"user{n}@example.com")] for n in range(1_234)])
    fields = "approximate_count_lower_bound,approximate_count_upper_bound,delivery_status"
    found = client.get(audience, fields=fields).json()
    assert (found["approximate_count_lower_bound"], found["approximate_count_upper_bound"]) == (1200, 1300)
    assert found["delivery_status"]["code"] == 200
    client.http.close()


def test_counters_tell_received_invalid_and_requests(meta_twin: MetaClient, audience: str) -> None:
    meta_twin.add(audience, ["EMAIL"], [[ANN], [STRANGER], ["x"]])
    meta_twin.remove(audience, ["EMAIL"], [[BOB]])
    held = meta_twin.held(audience)
    expected = {"rows_received": 4, "rows_invalid": 1, "requests_add": 1, "requests_remove": 1, "held_rows": 2}
    assert held.items() >= expected.items()
    assert held["held_people"] == 1


def test_error_without_fields_and_unknown_field(
    meta_twin: MetaClient, audience: str, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    assert meta_twin.get(audience).json() == {"id": audience}
    assert refusal(meta_twin.get(audience, fields="shoe_size")) == (400, 100, None)
    assert refusal(meta_twin.get("act_1001", fields="shoe_size")) == (400, 100, None)


def test_malformed_input_is_refused(
    meta_twin: MetaClient, audience: str, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    headers = {"Authorization": "Bearer sandbox-token", "Content-Type": "application/json"}
    url = f"{meta_twin.url}/v26.0/{audience}/users"
    assert refusal(meta_twin.http.post(url, data=b"{", headers=headers)) == (400, 100, None)
    assert refusal(meta_twin.post(f"{audience}/users", payload="{")) == (400, 100, None)
    assert refusal(meta_twin.get("act_1001/customaudiences", limit="x")) == (400, 100, None)
    assert refusal(meta_twin.get("act_1001/customaudiences", after="x")) == (400, 100, None)
    assert refusal(meta_twin.get("act_1001/customaudiences", limit=501)) == (500, 1, None)
    assert refusal(meta_twin.get(f"{audience}/users")) == (400, 100, 33)
