"""Faults on demand: the switches named after the table of section 10, and the kinds every twin shares."""

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from .conftest import MetaClient

ANN, BOB = (hashlib.sha256(f"{name}@example.com".encode()).hexdigest() for name in ("ann", "bob"))


@pytest.fixture
def audience(meta_twin: MetaClient) -> str:
    return meta_twin.create()


@pytest.fixture
def people(meta_twin: MetaClient, audience: str) -> Callable[[], list[Any]]:
    return lambda: meta_twin.lines(f"audiences/{audience}/people")


def test_html_page_with_500(meta_twin: MetaClient, audience: str, people: Callable[[], list[Any]]) -> None:
    meta_twin.fault("status", "/users$")
    answer = meta_twin.add(audience, ["EMAIL"], [[ANN]])
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "text/html; charset=utf-8")
    assert people() == []
    assert meta_twin.add(audience, ["EMAIL"], [[ANN]]).status_code == 200


@pytest.mark.parametrize("status", [500, 200])
def test_error_code_1_and_200_with_error(
    meta_twin: MetaClient, audience: str, people: Callable[[], list[Any]], status: Any
) -> None:
    body = {"error": {"message": "unknown", "type": "OAuthException", "code": 1, "fbtrace_id": "A1"}}
    meta_twin.fault("status", "/users$", status=status, body=body)
    answer = meta_twin.add(audience, ["EMAIL"], [[ANN]])
    assert (answer.status_code, answer.json()) == (status, body)
    assert people() == []


def test_803_for_two_seconds_after_create(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    meta_twin.configure(create_lag=2)
    audience = meta_twin.create()
    assert refusal(meta_twin.get(audience)) == (404, 803, None)
    assert refusal(meta_twin.add(audience, ["EMAIL"], [[ANN]])) == (404, 803, None)
    meta_twin.advance(2)
    assert meta_twin.get(audience).json() == {"id": audience}


def test_session_stuck_at_uploading(meta_twin: MetaClient, audience: str) -> None:
    meta_twin.configure(stuck_sessions=True)
    session = {"session_id": 5, "batch_seq": 1, "last_batch_flag": True}
    meta_twin.add(audience, ["EMAIL"], [[ANN]], session=session)
    (found,) = meta_twin.get(f"{audience}/sessions", session_id=5).json()["data"]
    assert (found["stage"], found["num_matched"], found["end_time"], found["num_received"]) == (
        "uploading",
        "-1",
        "0",
        "1",
    )


def test_app_usage_climbs_to_100_then_code_4(
    meta_twin: MetaClient, audience: str, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    meta_twin.configure(app={"calls_per_hour": 5})
    answers = [meta_twin.get(audience) for _ in range(5)]
    shares = [json.loads(answer.headers["X-App-Usage"])["call_count"] for answer in answers[:4]]
    assert shares == [40, 60, 80, 100]
    assert refusal(answers[4]) == (400, 4, None)
    assert answers[4].json()["error"]["is_transient"] is True


def test_transient_error_with_the_write_applied(
    meta_twin: MetaClient, audience: str, people: Callable[[], list[Any]]
) -> None:
    body = {"error": {"message": "temporary", "code": 2, "is_transient": True, "fbtrace_id": "A1"}}
    meta_twin.fault("accepted_then_error", "/users$", body=body)
    assert meta_twin.add(audience, ["EMAIL"], [[ANN]]).json()["error"]["code"] == 2
    assert people() == ["p-ann"]
    assert meta_twin.add(audience, ["EMAIL"], [[ANN]]).json()["num_received"] == 1
    assert people() == ["p-ann"]


def test_audience_flips_to_471_during_a_run(
    meta_twin: MetaClient, audience: str, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    meta_twin.control("POST", f"audiences/{audience}", {"operation_status": 471, "after": 1})
    assert meta_twin.add(audience, ["EMAIL"], [[ANN]]).status_code == 200
    assert refusal(meta_twin.add(audience, ["EMAIL"], [[BOB]])) == (400, 100, 1713230)
    assert meta_twin.held(audience)["operation_status"] == 471


def test_token_revoked_during_a_run(
    meta_twin: MetaClient, audience: str, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    meta_twin.configure(tokens={"sandbox-token": {"calls_left": 1}})
    assert meta_twin.get(audience).status_code == 200
    assert refusal(meta_twin.get(audience)) == (400, 190, 458)


def test_empty_page_with_next(meta_twin: MetaClient, audience: str) -> None:
    meta_twin.configure(empty_first_page=True)
    first = meta_twin.get("act_1001/customaudiences", fields="id").json()
    assert first["data"] == []
    second = meta_twin.http.get(first["paging"]["next"]).json()
    assert second["data"] == [{"id": audience}]
    assert "next" not in second["paging"]


def test_reset_applies_nothing(meta_twin: MetaClient, audience: str, people: Callable[[], list[Any]]) -> None:
    meta_twin.fault("reset", "/users$")
    with pytest.raises(requests.ConnectionError):
        meta_twin.add(audience, ["EMAIL"], [[ANN]])
    assert people() == []
    assert meta_twin.control("GET", "requests")["requests"][-1]["status"] is None


def test_accepted_then_reset_applies(meta_twin: MetaClient, audience: str, people: Callable[[], list[Any]]) -> None:
    meta_twin.fault("accepted_then_reset", "/users$")
    with pytest.raises(requests.ConnectionError):
        meta_twin.add(audience, ["EMAIL"], [[ANN]])
    assert people() == ["p-ann"]
    assert meta_twin.control("GET", "requests")["routes"]["POST /{audience}/users"] == 1


def test_broken_json_is_half_an_answer(meta_twin: MetaClient, audience: str) -> None:
    meta_twin.fault("broken_json", "/users$")
    answer = meta_twin.add(audience, ["EMAIL"], [[ANN]])
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_redirect(meta_twin: MetaClient, audience: str, people: Callable[[], list[Any]]) -> None:
    meta_twin.fault("redirect", "/users$", location="http://127.0.0.1:9/moved")
    answer = meta_twin.add(audience, ["EMAIL"], [[ANN]])
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://127.0.0.1:9/moved")
    assert people() == []


@pytest.mark.parametrize("drip", [False, True])
def test_slow_answers_late_but_whole(meta_twin: MetaClient, audience: str, drip: Any) -> None:
    meta_twin.fault("slow", "/users$", seconds=0.2, drip=drip)
    before = time.monotonic()
    assert meta_twin.add(audience, ["EMAIL"], [[ANN]]).json()["num_received"] == 1
    assert time.monotonic() - before >= 0.2


def test_partial_takes_only_some_rows_and_names_none(
    meta_twin: MetaClient, audience: str, people: Callable[[], list[Any]]
) -> None:
    meta_twin.fault("partial", "/users$", rows=1)
    answer = meta_twin.add(audience, ["EMAIL"], [[ANN], [BOB]]).json()
    assert (answer["num_received"], answer["num_invalid_entries"], answer["invalid_entry_samples"]) == (2, 1, {})
    assert people() == ["p-ann"]


def test_after_times_and_method_choose_the_requests(meta_twin: MetaClient, audience: str) -> None:
    fault = {"kind": "status", "status": 503, "after": 1, "times": 2, "headers": {"Retry-After": "7"}}
    fault["match"] = {"method": "DELETE", "path_regex": "/users$"}
    meta_twin.control("POST", "faults", [fault])
    assert meta_twin.add(audience, ["EMAIL"], [[ANN]]).status_code == 200
    answers = [meta_twin.remove(audience, ["EMAIL"], [[ANN]]) for _ in range(2)]
    answers.append(meta_twin.post(f"{audience}/users?method=DELETE", payload={"schema": ["EMAIL"], "data": [[ANN]]}))
    answers.append(meta_twin.remove(audience, ["EMAIL"], [[ANN]]))
    assert [answer.status_code for answer in answers] == [200, 503, 503, 200]
    assert answers[1].headers["Retry-After"] == "7"


def test_faults_are_read_and_cleared(meta_twin: MetaClient, audience: str) -> None:
    meta_twin.fault("status", times=None)
    assert meta_twin.get(audience).status_code == 500
    assert meta_twin.get(audience).status_code == 500
    (fault,) = meta_twin.control("GET", "faults")
    assert (fault["kind"], fault["times"]) == ("status", None)
    assert meta_twin.control("DELETE", "faults") == []
    assert meta_twin.get(audience).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "blamed"),
    [
        ("faults", [{"kind": "explode"}], "$[0].kind"),
        ("faults", [{"kind": "reset", "match": {"path_regex": "("}}], "faults not understood"),
        ("config", {"accounts": {"1001": {"tier": "golden"}}}, "$.accounts"),
        ("config", {"colour": "red"}, "colour"),
        ("clock", {"advance": "soon"}, "$.advance"),
        ("audiences/1", {"mood": 1}, "mood"),
    ],
)
def test_control_that_is_not_understood_says_where(meta_twin: MetaClient, path: Any, body: Any, blamed: Any) -> None:
    answer = meta_twin.http.post(f"{meta_twin.url}/_twin/{path}", json=body)
    assert answer.status_code == 400
    assert blamed in answer.json()["error"]


def test_journal_holds_no_query_and_no_body_and_is_cleared(meta_twin: MetaClient, audience: str) -> None:
    meta_twin.http.delete(f"{meta_twin.url}/v26.0/{audience}/users?access_token=sandbox-token&payload={ANN}")
    text = json.dumps(meta_twin.control("GET", "requests"))
    assert "DELETE /{audience}/users" in text
    assert ANN not in text
    assert "sandbox-token" not in text
    meta_twin.control("DELETE", "requests")
    assert meta_twin.control("GET", "requests") == {"total": 0, "routes": {}, "requests": []}
