"""The rows of section 11 of the contract, each test named after its row; 30 and 31, reports, are not served."""

import hashlib
from typing import Any

import pytest

from .conftest import TikTokClient

V = "/open_api/v1.3/"
A, OTHER, FOREIGN = "7000000000000000001", "7000000000000000002", "7000000000000000003"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


ANN, BOB = sha("ann@example.com"), sha("bob@example.com")
EMAIL = ["EMAIL_SHA256"]
NAMED = {"advertiser_id": A, "custom_audience_name": "VIP"}


@pytest.fixture
def twin(tiktok_twin: TikTokClient) -> TikTokClient:
    others = {OTHER: {"name": "Other", "business": "b-1"}, FOREIGN: {"name": "Foreign", "business": "b-2"}}
    tiktok_twin.configure(advertisers=others)
    return tiktok_twin


@pytest.fixture
def audience(twin: TikTokClient) -> str:
    return twin.create()


def test_row_01_no_slash_at_the_end_or_an_unknown_path(twin: TikTokClient) -> None:
    for path in (V + "segment/mapping", V + "segment/nothing/", "/segment/mapping/", "/"):
        answer = twin.http.post(twin.url + path, json={})
        assert (answer.status_code, answer.text) == (404, "404 page not found")


def test_row_02_wrong_verb(twin: TikTokClient) -> None:
    assert twin.http.get(f"{twin.url}{V}segment/mapping/").status_code == 405
    assert twin.http.post(f"{twin.url}{V}dmp/custom_audience/list/").status_code == 405


def test_row_03_no_token(twin: TikTokClient) -> None:
    url = f"{twin.url}{V}segment/audience/"
    for headers in ({}, {"Authorization": "Bearer sandbox-token"}):
        answer = twin.http.post(url, json=NAMED, headers=headers)
        assert answer.status_code == 200
        assert answer.json()["code"] == 40104
        assert answer.json()["message"].startswith("Access token is null, you should set it in http header")
        assert answer.json()["data"] == {}


def test_rows_04_and_05_unknown_revoked_and_expired_tokens(twin: TikTokClient) -> None:
    twin.configure(tokens={"gone": {"calls_left": 0}, "old": {"expires_at": 1}})
    assert [twin.code("segment/audience/", token=each, **NAMED) for each in ("x", "gone", "old")] == [
        40105,
        40105,
        40102,
    ]


def test_row_06_advertiser_not_in_the_tokens_list(twin: TikTokClient) -> None:
    twin.configure(tokens={"one": {"advertisers": [OTHER]}})
    assert twin.code("segment/audience/", token="one", **NAMED) == 40001
    assert twin.get("dmp/custom_audience/list/", token="one", advertiser_id=A)["code"] == 40001


def test_row_07_token_without_the_scope(twin: TikTokClient, audience: str) -> None:
    twin.configure(tokens={"reader": {"scopes": [30]}, "reports": {"scopes": [4]}})
    assert twin.code("segment/audience/", token="reader", **NAMED) == 40130
    assert twin.get("dmp/custom_audience/list/", token="reader", advertiser_id=A)["code"] == 0
    assert twin.get("dmp/custom_audience/list/", token="reports", advertiser_id=A)["code"] == 40130


def test_row_08_auth_code_used_twice_too_old_or_with_a_wrong_secret(twin: TikTokClient) -> None:
    app = {"app_id": "sandbox-app", "secret": "sandbox-secret"}
    code = twin.consent()
    wrong = app | {"secret": "x", "auth_code": code}
    assert twin.code("oauth2/access_token/", token=None, **wrong) == 40101
    assert twin.code("oauth2/access_token/", token=None, auth_code=code, **app) == 0
    assert twin.code("oauth2/access_token/", token=None, auth_code=code, **app) == 40110
    late = twin.consent()
    twin.advance(3_601)
    assert twin.code("oauth2/access_token/", token=None, auth_code=late, **app) == 40110


def test_row_09_body_that_is_no_json(twin: TikTokClient) -> None:
    url, headers = f"{twin.url}{V}segment/audience/", {"Access-Token": "sandbox-token"}
    json = headers | {"Content-Type": "application/json"}
    bodies: list[tuple[Any, Any]] = [(b"{", json), (b"[]", json), (b"", json), (NAMED, headers)]
    assert [twin.http.post(url, data=body, headers=each).json()["code"] for body, each in bodies] == [40000] * 4


def test_row_10_required_field_missing(twin: TikTokClient) -> None:
    answer = twin.post("segment/audience/", advertiser_id=A)
    assert (answer["code"], answer["message"]) == (40002, "Missing required field(s): custom_audience_name.")
    assert twin.post("segment/mapping/", advertiser_ids=[A], id_schema=EMAIL)["message"] == (
        "Missing required field(s): batch_data."
    )


def test_row_11_number_where_an_id_is_due(twin: TikTokClient, audience: str) -> None:
    assert twin.code("segment/audience/", **NAMED | {"advertiser_id": int(A)}) == 40002
    assert twin.map(EMAIL, [[{"id": ANN, "audience_ids": [int(audience)]}]])["code"] == 40002
    assert twin.get("dmp/custom_audience/get/", advertiser_id=A, custom_audience_ids=f"[{audience}]")["code"] == 40002


@pytest.mark.parametrize(
    "body",
    [{}, {"action": "delete"}, {"action": "rename", "custom_audience_name": "x"}, {"custom_audience_name": ""}],
)
def test_row_12_segment_audience(twin: TikTokClient, body: Any) -> None:
    assert twin.code("segment/audience/", advertiser_id=A, **body) == 40002


@pytest.mark.parametrize("schema", [["GAID_SHA256"], ["EMAIL_SHA256", "email_sha256"], [], ["MAID"], "EMAIL_SHA256"])
def test_row_13_id_schema(twin: TikTokClient, audience: str, schema: Any) -> None:
    assert twin.map(schema, [[{"id": ANN, "audience_ids": [audience]}]])["code"] == 40002


def test_rows_14_and_15_rows_not_like_the_schema(twin: TikTokClient, audience: str) -> None:
    cell = {"id": ANN, "audience_ids": [audience]}
    two = ["email_sha256", "PHONE_SHA256"]
    rows: list[Any] = [[cell], [cell, {}, {}], [{}, {}], [{"id": ANN}, {}], [{"audience_ids": [audience]}, {}], []]
    for row in rows:
        assert twin.map(two, [[cell, {}], row])["code"] == 40002
    assert twin.held(audience)["held_rows"] == 0
    assert twin.map(two, [[cell, {}]])["code"] == 0
    assert twin.rows(audience) == [{"EMAIL_SHA256": ANN}]


def test_row_16_audience_of_another_or_deleted(twin: TikTokClient, audience: str) -> None:
    foreign = twin.create(advertiser_id=OTHER)
    assert twin.map(EMAIL, [[{"id": ANN, "audience_ids": [foreign]}]])["code"] == 40001
    assert twin.code("segment/audience/", advertiser_id=A, action="delete", delete_audience_id=audience) == 0
    assert twin.map(EMAIL, [[{"id": ANN, "audience_ids": [audience]}]])["code"] == 40007
    assert twin.code("segment/audience/", advertiser_id=A, action="delete", delete_audience_id=audience) == 40007


def test_row_17_advertisers_across_businesses(twin: TikTokClient, audience: str) -> None:
    row = [{"id": ANN, "audience_ids": [audience]}]
    assert twin.map(EMAIL, [row], advertiser_ids=[A, OTHER])["code"] == 0
    assert twin.map(EMAIL, [row], advertiser_ids=[A, FOREIGN])["code"] == 40001


@pytest.mark.parametrize("value", [ANN[:63], ANN.upper(), sha(""), "ann@example.com", "+15550100001", "x" + ANN, ""])
def test_rows_18_and_19_what_is_no_hash(twin: TikTokClient, audience: str, value: Any) -> None:
    good = [{"id": BOB, "audience_ids": [audience]}]
    answer = twin.map(EMAIL, [good, [{"id": value, "audience_ids": [audience]}]])
    assert answer["code"] == 40062
    assert (value or "@") not in answer["message"]
    assert twin.held(audience)["held_rows"] == 0


def test_row_20_over_the_rows_or_bytes_of_a_request(twin: TikTokClient, audience: str) -> None:
    twin.configure(max_rows=2)
    rows = [[{"id": sha(str(n)), "audience_ids": [audience]}] for n in range(3)]
    assert twin.map(EMAIL, rows)["code"] == 40061
    assert twin.map(EMAIL, rows[:2])["code"] == 0
    twin.configure(max_rows=10, max_bytes=400)
    assert twin.map(EMAIL, rows)["code"] == 40061


def test_row_21_upload(twin: TikTokClient) -> None:
    good = ANN + "\n"
    assert twin.upload(good)["code"] == 0
    refused = [
        twin.upload(good, file_signature="0" * 32),
        twin.upload(None),
        twin.upload(""),
        twin.upload(good, name="people.xls"),
        twin.upload(good, calculate_type="EMAIL"),
        twin.upload("ann@example.com\n"),
        twin.upload("EMAIL_SHA256,SHOE\n", calculate_type="MULTIPLE_TYPES"),
        twin.upload(",".join(["MAID"] * 4), calculate_type="MULTIPLE_TYPES"),
    ]
    assert [answer["code"] for answer in refused] == [40900, 40905, 40906, 40908, 40909, 40062, 40002, 40002]


def test_row_21_more_than_50_mb(twin: TikTokClient) -> None:
    assert twin.upload("a" * (50 * 2**20 + 1))["code"] == 40907


def test_row_22_file_path(twin: TikTokClient) -> None:
    path, foreign = (twin.upload(ANN, advertiser_id=one)["data"]["file_path"] for one in (A, OTHER))
    assert twin.make("0" * 16)["code"] == 40905
    assert twin.make(foreign)["code"] == 40001
    twin.advance(86_401)
    assert twin.make(path)["code"] == 40910


@pytest.mark.parametrize(
    "change",
    [
        {"custom_audience_name": ""},
        {"custom_audience_name": "x" * 129},
        {"file_paths": []},
        {"file_paths": ["a" * 16] * 501},
        {"file_paths": ["a" * 15]},
        {"retention_in_days": 0},
        {"retention_in_days": 366},
        {"calculate_type": "PHONE_SHA256"},
    ],
)
def test_row_23_create(twin: TikTokClient, change: Any) -> None:
    assert twin.make(twin.upload(ANN)["data"]["file_path"], **change)["code"] == 40002


def test_row_24_one_audience_too_many(twin: TikTokClient, audience: str) -> None:
    twin.configure(max_audiences=1)
    assert twin.code("segment/audience/", **NAMED) == 40002
    assert twin.make(twin.upload(ANN)["data"]["file_path"])["code"] == 40002
    assert twin.code("segment/audience/", **NAMED | {"advertiser_id": OTHER}) == 0


def test_rows_25_to_27_updates(twin: TikTokClient) -> None:
    twin.configure(floor=2)
    both, one, none = (twin.upload(text)["data"]["file_path"] for text in (f"{ANN}\n{BOB}", ANN, sha("x")))
    audience = twin.make(both)["data"]["custom_audience_id"]
    answer = twin.update(audience, both, action="APPEND")
    assert (answer["code"], answer["message"]) == (40002, "Audience is not editable, please check audience status")
    twin.advance(3_600)
    assert twin.details(audience)["cover_num"] == 2
    assert twin.update(audience, one, action="REMOVE")["code"] == 0
    twin.advance(3_600)
    assert (twin.details(audience)["cover_num"], twin.details(audience)["error_msg"] != "") == (2, True)
    assert twin.history(audience)[0]["msg"]
    assert twin.update(audience, none)["code"] == 0
    answer = twin.update(audience, both)
    assert answer["message"].startswith("This replace operation is rejected as there is an existing unfinished replace")
    twin.advance(3_600)
    assert sorted(row["EMAIL_SHA256"] for row in twin.rows(audience)) == sorted([ANN, BOB])
    small = twin.make(one)["data"]["custom_audience_id"]
    twin.advance(3_600)
    assert (twin.details(small)["cover_num"], twin.details(small)["is_valid"]) == (0, False)
    assert twin.update(small, both, action="APPEND")["code"] == 40002
    assert twin.rows(small) == []


def test_row_28_more_than_100_ids(twin: TikTokClient) -> None:
    ids = ["1"] * 101
    assert twin.code("dmp/custom_audience/delete/", advertiser_id=A, custom_audience_ids=ids) == 40011
    wanted = str(ids).replace("'", '"')
    assert twin.get("dmp/custom_audience/get/", advertiser_id=A, custom_audience_ids=wanted)["code"] == 40011


def test_row_29_page_size(twin: TikTokClient, audience: str) -> None:
    for size, code in ((0, 40002), (101, 40002), (100, 0)):
        assert twin.get("dmp/custom_audience/list/", advertiser_id=A, page_size=size)["code"] == code


EVENT = {"event": "Purchase", "event_time": 1_760_000_000, "page": {"url": "https://shop.example/"}}


@pytest.mark.parametrize(
    "events",
    [
        [],
        [EVENT] * 1_001,
        [EVENT | {"event": ""}],
        [EVENT | {"event_time": 1_760_000_000_000}],
        [EVENT | {"page": None}],
        [EVENT | {"user": {"email": "ann@example.com"}}],
        [EVENT, EVENT | {"user": {"phone": ["+15550100001"]}}],
        [EVENT | {"properties": {"contents": [{"content_id": 7}]}}],
        [{"event": "Purchase"}],
    ],
)
def test_row_32_events(twin: TikTokClient, events: Any) -> None:
    assert twin.track(events)["code"] == 40002
    assert twin.lines("events") == []


def test_row_32_says_which_event(twin: TikTokClient) -> None:
    answer = twin.track([EVENT | {"properties": {"contents": [{"content_id": 7}]}}])
    assert answer["message"] == "Batch.0.properties.contents.0.content_id: Not a valid string"


def test_row_33_pixel_of_another(twin: TikTokClient) -> None:
    answer = twin.track([EVENT], event_source_id="C9OTHER")
    assert (answer["code"], answer["message"]) == (40001, "No permission to operate pixel code: C9OTHER")


def test_pixels_of_an_advertiser(twin: TikTokClient) -> None:
    for size, code in ((0, 40002), (21, 40002), (20, 0)):
        assert twin.get("pixel/list/", advertiser_id=A, page_size=size)["code"] == code
    assert twin.get("pixel/list/", advertiser_id="7999")["code"] == 40001


def test_row_34_over_the_limits(twin: TikTokClient) -> None:
    twin.configure(app={"per_second": 1_000, "per_minute": 3})
    # Begin with a fresh minute, so that none ends under way.
    twin.advance(60 - twin.now() % 60)
    codes = [twin.code("segment/audience/", **NAMED) for _ in range(4)]
    assert codes == [0, 0, 0, 40100]
    answer = twin.post("segment/audience/", **NAMED)
    assert answer["message"] == "Too many requests. Please retry in some time."
    assert twin.get("dmp/custom_audience/list/", advertiser_id=A)["code"] == 0
    twin.advance(61)
    assert twin.code("segment/audience/", **NAMED) == 40100
    twin.advance(300)
    assert twin.code("segment/audience/", **NAMED) == 0


def test_row_35_not_on_the_allow_list(twin: TikTokClient) -> None:
    twin.configure(app={"allow_list": False})
    assert twin.code("segment/audience/", **NAMED) == 40118
    assert twin.code("segment/mapping/") == 40118
    assert twin.get("dmp/custom_audience/list/", advertiser_id=A)["code"] == 0


def test_fault_switches(twin: TikTokClient, audience: str) -> None:
    row = [[{"id": ANN, "audience_ids": [audience]}]]
    for code in (50000, 51010, 51063, 20001, 40133, 40202):
        twin.fault("accepted_then_error", "/mapping/", status=200, body={"code": code, "message": "x", "data": {}})
        assert twin.map(EMAIL, row)["code"] == code
        assert twin.held(audience)["held_rows"] == 1
    twin.fault("accepted_then_error", "/mapping/", status=200, body={"code": 0, "message": "OK"})
    assert twin.map(EMAIL, row) == {"code": 0, "message": "OK"}
    twin.configure(tokens={"sandbox-token": {"calls_left": 1}})
    assert [twin.map(EMAIL, row)["code"] for _ in range(2)] == [0, 40105]


def test_a_frozen_size(twin: TikTokClient, audience: str) -> None:
    twin.configure(floor=1, cover_num_frozen=True)
    twin.map(EMAIL, [[{"id": ANN, "audience_ids": [audience]}]])
    twin.advance(3_601)
    assert (twin.details(audience)["is_valid"], twin.details(audience)["cover_num"]) == (True, 0)
