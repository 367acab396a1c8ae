"""The 40 rows of section 10 of the contract, each test named after its row."""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any, Protocol

import pytest
import requests

from .conftest import MetaClient

EMPTY_HASH = hashlib.sha256(b"").hexdigest()


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


ANN = sha("ann@example.com")
BOB = sha("bob@example.com")


@pytest.fixture
def audience(meta_twin: MetaClient) -> str:
    return meta_twin.create()


class MakeEvent(Protocol):
    """An event, some of its fields changed."""

    def __call__(self, **changes: Any) -> dict[str, Any]: ...


@pytest.fixture
def event(meta_twin: MetaClient) -> MakeEvent:
    def make(**changes: Any) -> dict[str, Any]:
        base = {"event_name": "Lead", "event_time": meta_twin.now() - 10, "action_source": "email"}
        return base | {"user_data": {"em": [ANN]}} | changes

    return make


def session(number: int, seq: int, last: bool = False) -> dict[str, Any]:
    return {"session_id": number, "batch_seq": seq, "last_batch_flag": last}


def test_row_01_no_token(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    assert refusal(meta_twin.send("GET", "act_1001", token=None)) == (400, 104, None)


def test_row_02_unknown_token(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    assert refusal(meta_twin.send("GET", "act_1001", token="other")) == (400, 190, 467)


def test_row_03_expired_token(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    meta_twin.configure(tokens={"old": {"expires_at": meta_twin.now() + 60}})
    assert meta_twin.send("GET", "act_1001", token="old").status_code == 200
    meta_twin.advance(61)
    assert refusal(meta_twin.send("GET", "act_1001", token="old")) == (400, 190, 463)


def test_row_04_wrong_or_missing_proof(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    good = hmac.new(b"sandbox-secret", b"sandbox-token", hashlib.sha256).hexdigest()
    assert meta_twin.get("act_1001", appsecret_proof=good).status_code == 200
    assert refusal(meta_twin.get("act_1001", appsecret_proof="0" * 64)) == (400, 100, None)
    assert meta_twin.get("act_1001").status_code == 200
    meta_twin.configure(app={"demand_proof": True})
    assert refusal(meta_twin.get("act_1001")) == (400, 100, None)
    timed = hmac.new(b"sandbox-secret", b"sandbox-token|1760000000", hashlib.sha256).hexdigest()
    assert meta_twin.get("act_1001", appsecret_proof=timed, appsecret_time="1760000000").status_code == 200


def test_row_05_write_without_permission(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], audience: str
) -> None:
    meta_twin.configure(tokens={"reader": {"scopes": ["ads_read"]}})
    payload = {"schema": ["EMAIL"], "data": [[ANN]]}
    assert refusal(meta_twin.send("POST", f"{audience}/users", token="reader", payload=payload)) == (403, 200, None)
    assert meta_twin.send("GET", audience, token="reader").status_code == 200


def test_row_06_account_not_visible(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], audience: str
) -> None:
    meta_twin.configure(tokens={"stranger": {"accounts": []}})
    assert refusal(meta_twin.send("GET", "act_1001", token="stranger")) == (400, 100, 33)
    assert refusal(meta_twin.send("GET", audience, token="stranger")) == (400, 100, 33)
    assert refusal(meta_twin.get("act_9999")) == (400, 100, 33)


def test_row_07_terms_not_accepted(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    wanted = {"name": "VIP", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    meta_twin.configure(accounts={"1001": {"terms_accepted": False}})
    assert refusal(meta_twin.post("act_1001/customaudiences", **wanted)) == (400, 2663, None)
    assert meta_twin.get("act_1001", fields="tos_accepted").json()["tos_accepted"] == {}
    meta_twin.configure(accounts={"1001": {"terms_accepted": True, "user_terms_accepted": False}})
    assert refusal(meta_twin.post("act_1001/customaudiences", **wanted)) == (403, 200, 1870090)


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"subtype": "SPECIAL"},
        {"customer_file_source": "SOMEWHERE"},
        {"customer_file_source": None},
    ],
)
def test_row_08_create_with_bad_fields(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], change: Any
) -> None:
    wanted = {"name": "VIP", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"} | change
    assert refusal(meta_twin.post("act_1001/customaudiences", **wanted)) == (400, 100, None)


@pytest.mark.parametrize("days", [0, 181, "x"])
def test_row_09_retention_days_out_of_range(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], days: Any
) -> None:
    wanted = {"name": "VIP", "customer_file_source": "USER_PROVIDED_ONLY", "retention_days": days}
    assert refusal(meta_twin.post("act_1001/customaudiences", **wanted)) == (400, 100, None)
    assert meta_twin.post("act_1001/customaudiences", **wanted | {"retention_days": 180}).status_code == 200


def test_row_10_501st_audience(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    for _ in range(500):
        assert meta_twin.create()
    wanted = {"name": "VIP", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    assert refusal(meta_twin.post("act_1001/customaudiences", **wanted)) == (400, 2654, None)


def test_row_11_users_with_10001_rows(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], audience: str
) -> None:
    rows = [[sha(str(n))] for n in range(10_001)]
    assert refusal(meta_twin.add(audience, ["EMAIL"], rows)) == (400, 100, None)
    assert meta_twin.add(audience, ["EMAIL"], rows[:10_000]).json()["num_received"] == 10_000
    assert meta_twin.held(audience)["held_rows"] == 10_000


@pytest.mark.parametrize(
    "payload",
    [
        {"schema": ["EMAIL", "PHONE"], "data": [[ANN]]},
        {"schema": ["EMAIL"], "data": [[ANN], [ANN, BOB]]},
        {"schema": ["EMAIL"], "data": [ANN]},
        {"schema": ["EMAIL"], "data": []},
        {"schema": ["EMAIL"]},
        {"data": [[ANN]]},
        None,
    ],
)
def test_row_12_data_missing_or_not_like_schema(
    meta_twin: MetaClient,
    refusal: Callable[[requests.Response], tuple[int, int, int | None]],
    audience: str,
    payload: Any,
) -> None:
    assert refusal(meta_twin.post(f"{audience}/users", payload=payload)) == (400, 100, None)
    assert meta_twin.held(audience)["held_rows"] == 0


@pytest.mark.parametrize("schema", [["EMAIL", "SHOE_SIZE"], ["EMAIL", "EMAIL"], "EMAIL", ["EMAIL", 3]])
def test_row_13_unknown_or_repeated_key(
    meta_twin: MetaClient,
    refusal: Callable[[requests.Response], tuple[int, int, int | None]],
    audience: str,
    schema: Any,
) -> None:
    assert refusal(meta_twin.add(audience, schema, [[ANN, BOB]])) == (400, 100, None)


def test_row_14_badly_formed_hashes(meta_twin: MetaClient, audience: str) -> None:
    bad = ["ann@example.com", ANN.upper(), ANN[:63], EMPTY_HASH, 7]
    answer = meta_twin.add(audience, ["EMAIL"], [[BOB], *[[cell] for cell in bad]])
    assert answer.status_code == 200
    assert answer.json()["num_received"] == 6
    assert answer.json()["num_invalid_entries"] == 5
    assert set(answer.json()["invalid_entry_samples"]) == {str(cell) for cell in bad}
    assert meta_twin.lines(f"audiences/{audience}/rows") == [{"EMAIL": BOB}]
    meta_twin.configure(list_samples=True)
    assert meta_twin.add(audience, ["EMAIL"], [[EMPTY_HASH]]).json()["invalid_entry_samples"] == [EMPTY_HASH]


def test_row_15_hashed_or_malformed_mobile_id(meta_twin: MetaClient, audience: str) -> None:
    good = "aebe52e7-03ee-455a-b3c4-e57283966239"
    answer = meta_twin.add(audience, ["MADID"], [[good], [sha(good)], ["aebe52e7"]]).json()
    assert answer["num_invalid_entries"] == 2
    assert meta_twin.lines(f"audiences/{audience}/people") == ["p-ann"]


def test_row_16_single_and_multi_key_mixed(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], audience: str
) -> None:
    other = meta_twin.create()
    assert meta_twin.add(audience, ["EMAIL"], [[ANN]]).status_code == 200
    answer = meta_twin.add(audience, "EMAIL_SHA256", [BOB])
    assert refusal(answer) == (400, 2650, None)
    assert "FILE_IMPORTED.MULTI_HASHES" in answer.json()["error"]["message"]
    assert meta_twin.add(other, "EMAIL_SHA256", [ANN, [BOB]]).json()["num_invalid_entries"] == 0
    assert refusal(meta_twin.add(other, ["EMAIL"], [[BOB]])) == (400, 2650, None)


def test_row_17_value_based_without_value(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    audience = meta_twin.create(is_value_based=True)
    assert refusal(meta_twin.add(audience, ["EMAIL"], [[ANN]])) == (400, 100, None)
    assert meta_twin.add(audience, ["EMAIL", "LOOKALIKE_VALUE"], [[ANN, 12.5]]).status_code == 200
    assert meta_twin.lines(f"audiences/{audience}/rows") == [{"EMAIL": ANN, "LOOKALIKE_VALUE": 12.5}]


@pytest.mark.parametrize("number", [0, -1, 2**63, "x", None])
def test_row_18_session_id_out_of_range(
    meta_twin: MetaClient,
    refusal: Callable[[requests.Response], tuple[int, int, int | None]],
    audience: str,
    number: Any,
) -> None:
    assert refusal(meta_twin.add(audience, ["EMAIL"], [[ANN]], session=session(number, 1))) == (400, 100, None)


def test_row_18_session_id_used_again(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], audience: str
) -> None:
    other = meta_twin.create()
    assert meta_twin.add(audience, ["EMAIL"], [[ANN]], session=session(2**63 - 1, 1, True)).status_code == 200
    for place in (audience, other):
        again = meta_twin.add(place, ["EMAIL"], [[BOB]], session=session(2**63 - 1, 1))
        assert refusal(again) == (400, 100, None)


def test_row_19_batch_seq_skips_or_repeats(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], audience: str
) -> None:
    assert refusal(meta_twin.add(audience, ["EMAIL"], [[ANN]], session=session(5, 2))) == (400, 100, None)
    assert meta_twin.add(audience, ["EMAIL"], [[ANN]], session=session(5, 1)).json()["num_received"] == 1
    assert refusal(meta_twin.add(audience, ["EMAIL"], [[BOB]], session=session(5, 3))) == (400, 100, None)
    assert refusal(meta_twin.add(audience, ["EMAIL"], [[BOB]], session=session(5, 1))) == (400, 100, None)
    retried = meta_twin.add(audience, ["EMAIL"], [[ANN]], session=session(5, 1))
    assert retried.json()["num_received"] == 1
    assert meta_twin.add(audience, ["EMAIL"], [[BOB]], session=session(5, 2, True)).json()["num_received"] == 2


def test_row_20_batch_after_the_session_is_dropped(meta_twin: MetaClient, audience: str) -> None:
    meta_twin.add(audience, ["EMAIL"], [[ANN]], session=session(5, 1, True))
    late = meta_twin.add(audience, ["EMAIL"], [[BOB]], session=session(5, 2))
    assert (late.status_code, late.json()["num_received"]) == (200, 1)
    meta_twin.add(audience, ["EMAIL"], [[ANN]], session=session(6, 1))
    meta_twin.advance(90 * 60)
    late = meta_twin.add(audience, ["EMAIL"], [[BOB]], session=session(6, 2))
    assert (late.status_code, late.json()["num_received"]) == (200, 1)
    held = meta_twin.held(audience)
    assert (held["held_rows"], held["rows_dropped"], held["rows_received"]) == (1, 2, 2)


def test_row_21_replace_out_of_order(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], audience: str
) -> None:
    def replace(number: int, seq: int, last: bool = False, row: str = ANN) -> Any:
        payload = {"schema": ["EMAIL"], "data": [[row]]}
        return meta_twin.post(f"{audience}/usersreplace", payload=payload, session=session(number, seq, last))

    payload = {"schema": ["EMAIL"], "data": [[ANN]]}
    assert refusal(meta_twin.post(f"{audience}/usersreplace", payload=payload)) == (400, 100, None)
    assert refusal(replace(1, 2)) == (400, 2650, 1870147)
    assert replace(2, 1).status_code == 200
    assert refusal(replace(3, 1)) == (400, 2650, 1870145)
    assert meta_twin.get(audience, fields="operation_status").json()["operation_status"]["code"] == 414
    assert replace(2, 2, True, BOB).status_code == 200
    assert refusal(replace(2, 3)) == (400, 2650, 1870159)
    assert meta_twin.lines(f"audiences/{audience}/people") == ["p-ann", "p-bob"]
    assert replace(4, 1, row=BOB).status_code == 200
    assert meta_twin.lines(f"audiences/{audience}/people") == ["p-bob"]
    meta_twin.advance(90 * 60)
    assert refusal(replace(4, 2)) == (400, 2650, 1870158)
    assert meta_twin.get(audience, fields="operation_status").json()["operation_status"]["code"] == 415


def test_row_22_users_during_a_replace(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], audience: str
) -> None:
    payload = {"schema": ["EMAIL"], "data": [[ANN]]}
    meta_twin.post(f"{audience}/usersreplace", payload=payload, session=session(2, 1))
    assert refusal(meta_twin.add(audience, ["EMAIL"], [[BOB]])) == (400, 2650, 1870145)
    assert refusal(meta_twin.remove(audience, ["EMAIL"], [[BOB]])) == (400, 2650, 1870145)
    meta_twin.advance(90 * 60)
    assert meta_twin.add(audience, ["EMAIL"], [[BOB]]).status_code == 200


def test_row_23_flagged_audience(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], audience: str
) -> None:
    meta_twin.control("POST", f"audiences/{audience}", {"operation_status": 471})
    answer = meta_twin.add(audience, ["EMAIL"], [[ANN]])
    assert refusal(answer) == (400, 100, 1713230)
    assert answer.json()["error"]["message"] == "Audience Upload Blocked"
    assert refusal(meta_twin.post(audience, name="New")) == (400, 100, 1713231)
    status = meta_twin.get(audience, fields="operation_status,delivery_status").json()
    assert (status["operation_status"]["code"], status["delivery_status"]["code"]) == (471, 400)


def test_row_24_delete_with_lookalike(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], audience: str
) -> None:
    meta_twin.control("POST", f"audiences/{audience}", {"lookalikes": 1})
    assert refusal(meta_twin.delete(audience)) == (400, 2656, None)
    meta_twin.control("POST", f"audiences/{audience}", {"lookalikes": 0})
    assert meta_twin.delete(audience).json() == {"success": True}


def test_row_25_deleted_audience(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], audience: str
) -> None:
    meta_twin.delete(audience)
    assert refusal(meta_twin.add(audience, ["EMAIL"], [[ANN]])) == (400, 100, 33)
    assert refusal(meta_twin.get(audience)) == (400, 100, 33)


def test_row_26_url_over_8_kb(meta_twin: MetaClient, audience: str) -> None:
    url = f"{meta_twin.url}/v26.0/{audience}/users?access_token=sandbox-token&payload=" + "x" * 100_000
    answer = meta_twin.http.delete(url)
    assert answer.status_code == 414
    assert "html" in answer.headers["Content-Type"]


def usage(answer: Any) -> dict[str, Any]:
    used: dict[str, Any] = json.loads(answer.headers["X-Business-Use-Case-Usage"])["1001"][0]
    return used


def test_row_27_hourly_budget(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], audience: str
) -> None:
    meta_twin.configure(accounts={"1001": {"calls_per_hour": 10}})
    percents = []
    while (answer := meta_twin.get(audience)).status_code == 200:
        percents.append(usage(answer)["call_count"])
    assert percents == [20, 30, 40, 50, 60, 70, 80, 90, 100]
    assert refusal(answer) == (400, 80003, 2446079)
    assert usage(answer)["estimated_time_to_regain_access"] == 60
    meta_twin.advance(3600)
    assert meta_twin.get(audience).status_code == 200


def test_row_28_score(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], audience: str
) -> None:
    meta_twin.configure(accounts={"1001": {"tier": "development_access"}})
    answers = [meta_twin.add(audience, ["EMAIL"], [[ANN]]) for _ in range(20)]
    assert [answer.status_code for answer in answers] == [200] * 19 + [400]
    assert refusal(answers[-1]) == (400, 17, 2446079)
    assert refusal(meta_twin.get(audience)) == (400, 17, 2446079)
    meta_twin.advance(301)
    assert meta_twin.get(audience).status_code == 200


def test_row_29_more_than_50_batch_items(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    items = [{"method": "GET", "relative_url": "act_1001"}] * 51
    assert refusal(meta_twin.post("", batch=items)) == (400, 100, None)
    assert [item["code"] for item in meta_twin.post("", batch=items[:50]).json()] == [200] * 50


@pytest.mark.parametrize("cells", [["LDU", 1, 1000], [["LDU"], 0, 1000], [["LDU"], 2, 0], [["GDPR"], 1, 1000]])
def test_row_30_ldu_cells(
    meta_twin: MetaClient,
    refusal: Callable[[requests.Response], tuple[int, int, int | None]],
    audience: str,
    cells: Any,
) -> None:
    keys = ["DATA_PROCESSING_OPTIONS", "DATA_PROCESSING_OPTIONS_COUNTRY", "DATA_PROCESSING_OPTIONS_STATE"]
    assert refusal(meta_twin.add(audience, ["EMAIL", *keys], [[ANN, *cells]])) == (400, 100, None)
    good = [[ANN, ["LDU"], 1, 1000], [BOB, [], 0, 0]]
    assert meta_twin.add(audience, ["EMAIL", *keys], good).json()["num_invalid_entries"] == 0
    assert meta_twin.lines(f"audiences/{audience}/rows")[0]["DATA_PROCESSING_OPTIONS"] == ["LDU"]


def test_row_31_number_of_events_and_one_bad(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], event: MakeEvent
) -> None:
    assert refusal(meta_twin.post("2001/events", data=[])) == (400, 100, None)
    assert refusal(meta_twin.post("2001/events", data=[event()] * 1_001)) == (400, 100, None)
    assert refusal(meta_twin.post("2001/events", data=[event(), event(event_name="")])) == (400, 100, None)
    assert meta_twin.lines("events") == []
    assert meta_twin.post("2001/events", data=[event()] * 1_000).json()["events_received"] == 1_000


def test_row_32_event_too_old_or_in_the_future(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], event: MakeEvent
) -> None:
    week = 7 * 24 * 3600
    for offset in (-week - 60, 3600):
        wrong = event(event_time=meta_twin.now() + offset)
        assert refusal(meta_twin.post("2001/events", data=[wrong])) == (400, 100, 2804003)
    in_store = event(event_time=meta_twin.now() - 8 * week, action_source="physical_store")
    assert meta_twin.post("2001/events", data=[in_store]).status_code == 200


def test_row_33_purchase_without_value(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], event: MakeEvent
) -> None:
    bought = event(event_name="Purchase", custom_data={"currency": "EUR"})
    assert refusal(meta_twin.post("2001/events", data=[bought])) == (400, 100, 2804009)
    bought["custom_data"] = {"value": 12.5}
    assert refusal(meta_twin.post("2001/events", data=[bought])) == (400, 100, None)


@pytest.mark.parametrize(
    "user", [{}, {"client_ip_address": "203.0.113.9"}, {"em": []}, {"em": [""]}, {"shoe": 1}, None]
)
def test_row_34_not_enough_customer_information(
    meta_twin: MetaClient,
    refusal: Callable[[requests.Response], tuple[int, int, int | None]],
    event: MakeEvent,
    user: Any,
) -> None:
    assert refusal(meta_twin.post("2001/events", data=[event(user_data=user)])) == (400, 100, 2804050)


@pytest.mark.parametrize("about", [None, {}, "x", {"extinfo": ["i2"], "advertiser_tracking_enabled": 1}])
def test_an_app_event_without_app_data(
    meta_twin: MetaClient,
    refusal: Callable[[requests.Response], tuple[int, int, int | None]],
    event: MakeEvent,
    about: Any,
) -> None:
    wrong = event(action_source="app", app_data=about)
    assert refusal(meta_twin.post("2001/events", data=[wrong])) == (400, 100, None)
    whole = {"extinfo": ["i2"], "advertiser_tracking_enabled": 1, "application_tracking_enabled": 1}
    assert meta_twin.post("2001/events", data=[wrong | {"app_data": whole}]).status_code == 200


def test_a_pixel_can_be_read(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    assert meta_twin.get("2001", fields="name").json() == {"id": "2001", "name": "Pixel 2001"}
    assert refusal(meta_twin.get("2001", fields="shoes")) == (400, 100, None)
    assert refusal(meta_twin.get("2002")) == (400, 100, 33)


def test_row_35_event_time_in_milliseconds(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], event: MakeEvent
) -> None:
    wrong = event(event_time=meta_twin.now() * 1000)
    assert refusal(meta_twin.post("2001/events", data=[wrong])) == (400, 100, None)


@pytest.mark.parametrize("value", ["ann@example.com", ["ann@example.com"], [ANN, ANN.upper()]])
def test_row_36_unhashed_email_in_event(
    meta_twin: MetaClient,
    refusal: Callable[[requests.Response], tuple[int, int, int | None]],
    event: MakeEvent,
    value: Any,
) -> None:
    assert refusal(meta_twin.post("2001/events", data=[event(user_data={"em": value})])) == (400, 100, None)


@pytest.mark.parametrize(
    "params",
    [
        {"fields": "impressions,shoes"},
        {"level": "planet"},
        {"time_range": '{"since":"2026-01-02","until":"2026-01-01"}'},
    ],
)
def test_row_37_insights_bad_parameters(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], params: Any
) -> None:
    assert refusal(meta_twin.get("act_1001/insights", **params)) == (400, 100, None)


def test_row_38_insights_mixed_breakdowns(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    assert refusal(meta_twin.get("act_1001/insights", breakdowns="age,publisher_platform")) == (400, 2, 1504041)
    assert meta_twin.get("act_1001/insights", breakdowns="age,gender").status_code == 200


def test_row_39_rows_of_a_run_before_it_is_complete(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    meta_twin.configure(insights_job=100)
    run = meta_twin.post("act_1001/insights", level="ad").json()["report_run_id"]
    meta_twin.advance(40)
    about = meta_twin.get(run).json()
    assert (about["async_status"], about["time_completed"]) == ("Job Running", 0)
    assert 40 <= about["async_percent_completion"] < 100
    assert refusal(meta_twin.get(f"{run}/insights")) == (400, 100, None)
    meta_twin.advance(60)
    assert meta_twin.get(run).json()["async_status"] == "Job Completed"
    assert meta_twin.get(f"{run}/insights").json()["data"]


@pytest.mark.parametrize("path", ["act_1001/shoes", "2001/users", "vip/users", "act_1001/customaudiences/1", ""])
def test_row_40_unknown_edge_or_malformed_path(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]], path: Any
) -> None:
    answer = meta_twin.get(path)
    assert refusal(answer) == (400, 2500, None)
    assert answer.json()["error"]["message"].startswith("Unknown path components: /")
