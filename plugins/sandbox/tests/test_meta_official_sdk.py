"""Meta's own SDK, unmodified, drives the twin: every method the contract lists in section 9."""

import asyncio
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.adreportrun import AdReportRun
from facebook_business.adobjects.adspixel import AdsPixel
from facebook_business.adobjects.customaudience import CustomAudience
from facebook_business.adobjects.serverside.action_source import ActionSource
from facebook_business.adobjects.serverside.custom_data import CustomData
from facebook_business.adobjects.serverside.event import Event
from facebook_business.adobjects.serverside.event_request import EventRequest
from facebook_business.adobjects.serverside.event_request_async import EventRequestAsync
from facebook_business.adobjects.serverside.user_data import UserData
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

from .conftest import MetaClient


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


ANN, BOB = sha("ann@example.com"), sha("bob@example.com")


@pytest.fixture(autouse=True)
def api(meta_twin: MetaClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[FacebookAdsApi]:
    monkeypatch.setattr(FacebookSession, "GRAPH", meta_twin.url)
    api = FacebookAdsApi.init("sandbox-app", "sandbox-secret", "sandbox-token", api_version="v26.0", crash_log=False)
    yield api
    api._session.requests.close()
    FacebookAdsApi.set_default_api(None)


@pytest.fixture
def account() -> AdAccount:
    return AdAccount("act_1001")


@pytest.fixture
def audience(account: AdAccount) -> CustomAudience:
    wanted = {"name": "VIP", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY", "description": "src=1"}
    return account.create_custom_audience(params=wanted)


def test_create_and_read_custom_audience(audience: CustomAudience) -> None:
    fields = ["name", "operation_status", "delivery_status", "approximate_count_lower_bound", "retention_days"]
    found = CustomAudience(audience["id"]).api_get(fields=fields)
    assert (found["name"], found["operation_status"]["code"], found["delivery_status"]["code"]) == ("VIP", 410, 300)
    assert found["approximate_count_lower_bound"] == -1


def test_get_custom_audiences_pages(account: AdAccount, meta_twin: MetaClient) -> None:
    wanted = {meta_twin.create(name=f"a{n}") for n in range(7)}
    cursor = account.get_custom_audiences(fields=["id", "name"], params={"limit": 3})
    assert cursor.total() == 7
    assert {found["id"] for found in cursor} == wanted


def test_api_update_and_delete(audience: CustomAudience) -> None:
    audience.api_update(params={"name": "Neutral", "description": "src=2"})
    assert audience.api_get(fields=["name", "description"])["description"] == "src=2"
    audience.api_delete()
    with pytest.raises(FacebookRequestError) as refused:
        audience.api_get(fields=["name"])
    assert (refused.value.api_error_code(), refused.value.api_error_subcode()) == (100, 33)


def test_create_user_and_delete_users(audience: CustomAudience, meta_twin: MetaClient) -> None:
    payload = {"schema": ["EMAIL", "EXTERN_ID"], "data": [[ANN, "CRM-1"], [BOB, "CRM-2"]]}
    session = {"session_id": 77, "batch_seq": 1, "last_batch_flag": True, "estimated_num_total": 2}
    added = audience.create_user(params={"payload": payload, "session": session})
    assert (added["num_received"], added["num_invalid_entries"], added["session_id"]) == (2, 0, "77")
    assert meta_twin.lines(f"audiences/{audience['id']}/people") == ["p-ann", "p-bob"]
    audience.delete_users(params={"payload": payload | {"data": [[ANN, "CRM-1"]]}})
    assert meta_twin.lines(f"audiences/{audience['id']}/people") == ["p-bob"]


def test_nobody_is_removed_from_a_small_audience_except_from_all(
    account: AdAccount, audience: CustomAudience, meta_twin: MetaClient
) -> None:
    payload = {"schema": ["EMAIL"], "data": [[ANN], [BOB]]}
    audience.create_user(params={"payload": payload})
    meta_twin.configure(removal_minimum=3)
    with pytest.raises(FacebookRequestError) as refused:
        audience.delete_users(params={"payload": payload | {"data": [[ANN]]}})
    error = refused.value
    assert (error.http_status(), error.api_error_code(), error.api_error_subcode()) == (403, 200, 1870047)
    assert "Audience Size too Low: You cannot remove users from this audience" in error.api_error_message()
    assert meta_twin.lines(f"audiences/{audience['id']}/people") == ["p-ann", "p-bob"]
    account.delete_users_of_any_audience(params={"payload": payload | {"data": [[ANN]]}})
    assert meta_twin.lines(f"audiences/{audience['id']}/people") == ["p-bob"]


def test_uploads_want_the_terms_accepted(audience: CustomAudience, meta_twin: MetaClient) -> None:
    meta_twin.configure(accounts={"1001": {"terms_accepted": False}})
    with pytest.raises(FacebookRequestError) as refused:
        audience.create_user(params={"payload": {"schema": ["EMAIL"], "data": [[ANN]]}})
    error = refused.value
    assert (error.http_status(), error.api_error_code(), error.api_error_subcode()) == (403, 200, 1870034)
    assert "https://business.facebook.com/ads/manage/customaudiences/tos/?act=1001" in error.api_error_message()


def test_add_users_and_remove_users_of_the_mixin(audience: CustomAudience, meta_twin: MetaClient) -> None:
    schema = [CustomAudience.Schema.MultiKeySchema.email, CustomAudience.Schema.MultiKeySchema.fn]
    audience.add_users(schema, [["Ann@example.com", "Ann"], ["bob@example.com", "Bob"]], is_raw=True)
    assert meta_twin.lines(f"audiences/{audience['id']}/people") == ["p-ann", "p-bob"]
    audience.remove_users(schema, [[BOB, sha("bob")]], is_raw=True, pre_hashed=True)
    assert meta_twin.lines(f"audiences/{audience['id']}/rows") == [{"EMAIL": ANN, "FN": sha("ann")}]


def test_remove_users_of_many_rows_makes_a_url_too_long(audience: CustomAudience, meta_twin: MetaClient) -> None:
    audience.add_users("EMAIL_SHA256", ["ann@example.com"])
    many = ["ann@example.com", *[f"person{number}@example.com" for number in range(1_500)]]
    # The SDK takes any non-JSON body for a success: only the status tells that nothing was removed.
    assert audience.remove_users("EMAIL_SHA256", many).status() == 414
    assert meta_twin.lines(f"audiences/{audience['id']}/people") == ["p-ann"]


def test_create_users_replace(audience: CustomAudience, meta_twin: MetaClient) -> None:
    audience.create_user(params={"payload": {"schema": ["EMAIL"], "data": [[ANN]]}})
    session = {"session_id": 78, "batch_seq": 1, "last_batch_flag": True}
    audience.create_users_replace(params={"payload": {"schema": ["EMAIL"], "data": [[BOB]]}, "session": session})
    assert meta_twin.lines(f"audiences/{audience['id']}/people") == ["p-bob"]


def test_get_sessions(audience: CustomAudience) -> None:
    session = {"session_id": 79, "batch_seq": 1, "last_batch_flag": True}
    audience.create_user(params={"payload": {"schema": ["EMAIL"], "data": [[ANN], ["x"]]}, "session": session})
    (found,) = audience.get_sessions(params={"session_id": 79})
    assert (found["num_received"], found["num_invalid_entries"], found["num_matched"]) == ("2", "1", "1")
    assert (found["stage"], found["progress"]) == ("completed", "100")


def test_delete_users_of_any_audience(account: AdAccount, audience: CustomAudience, meta_twin: MetaClient) -> None:
    other = meta_twin.create(name="Other")
    for place in (audience["id"], other):
        meta_twin.add(place, ["EMAIL"], [[ANN], [BOB]])
    account.delete_users_of_any_audience(params={"payload": {"schema": ["EMAIL"], "data": [[ANN]]}})
    for place in (audience["id"], other):
        assert meta_twin.lines(f"audiences/{place}/people") == ["p-bob"]


def test_account_terms(account: AdAccount) -> None:
    assert account.api_get(fields=["tos_accepted"])["tos_accepted"]["custom_audience_tos"] == 1


def test_batch(api: FacebookAdsApi, audience: CustomAudience) -> None:
    answers: list[Any] = []
    failures: list[Any] = []
    batch = api.new_batch()
    audience.api_get(fields=["name"], batch=batch, success=answers.append)
    payload = {"schema": ["EMAIL"], "data": [[ANN]]}
    audience.create_user(params={"payload": payload}, batch=batch, success=answers.append)
    CustomAudience("999").api_get(fields=["name"], batch=batch, failure=failures.append)
    assert batch.execute() is None
    assert (answers[0].json()["name"], answers[1].json()["num_received"]) == ("VIP", 1)
    assert failures[0].error().api_error_subcode() == 33


def test_usage_headers_reach_the_sdk(account: AdAccount, audience: CustomAudience) -> None:
    cursor = account.get_custom_audiences(fields=["name"])
    assert "call_count" in cursor.headers()["x-business-use-case-usage"]
    with pytest.raises(FacebookRequestError) as refused:
        audience.create_user(params={"payload": {"schema": ["EMAIL"], "data": []}})
    assert "x-ad-account-usage" in refused.value.http_headers()


def test_get_insights_sync_and_async(account: AdAccount) -> None:
    params = {"level": "ad", "time_range": {"since": "2026-10-01", "until": "2026-10-03"}, "time_increment": 1}
    fields = ["ad_id", "impressions", "clicks", "video_play_actions", "actions"]
    at_once = [dict(row) for row in account.get_insights(fields=fields, params=params | {"limit": 5})]
    assert all(isinstance(row["impressions"], str) for row in at_once)
    assert {row["date_start"] for row in at_once} == {"2026-10-01", "2026-10-02", "2026-10-03"}
    run = account.get_insights(fields=fields, params=params, is_async=True)
    about = AdReportRun(run["report_run_id"]).api_get()
    assert (about["async_status"], about["async_percent_completion"]) == ("Job Completed", 100)
    assert [dict(row) for row in about.get_insights(params={"limit": 4})] == at_once


def purchase(now: int) -> Event:
    return Event(
        event_name="Purchase",
        event_time=now,
        event_id="ord-991",
        action_source=ActionSource.WEBSITE,
        event_source_url="https://shop.example/thanks",
        user_data=UserData(email="ann@example.com", client_user_agent="Mozilla/5.0", client_ip_address="203.0.113.9"),
        custom_data=CustomData(value=12.5, currency="EUR"),
    )


def test_event_request(meta_twin: MetaClient) -> None:
    event = purchase(meta_twin.now())
    for _ in range(2):
        assert EventRequest(pixel_id="2001", events=[event]).execute().events_received == 1
    first, second = meta_twin.lines("events")
    assert (first["person_id"], first["duplicate"], second["duplicate"]) == ("p-ann", False, True)
    event.custom_data = CustomData(currency="EUR")
    with pytest.raises(FacebookRequestError) as refused:
        EventRequest(pixel_id="2001", events=[event]).execute()
    assert refused.value.api_error_subcode() == 2804009


def test_read_a_pixel(account: AdAccount) -> None:
    assert AdsPixel("2001").api_get(fields=["name"])["name"] == "Pixel 2001"


def test_event_request_async(meta_twin: MetaClient) -> None:
    request = EventRequestAsync(pixel_id="2001", events=[purchase(meta_twin.now())])
    assert asyncio.run(request.execute()).events_received == 1
    assert [event["event_name"] for event in meta_twin.lines("events")] == ["Purchase"]


def test_wrong_secret_is_refused(audience: CustomAudience) -> None:
    api = FacebookAdsApi.init("sandbox-app", "other", "sandbox-token", api_version="v26.0", crash_log=False)
    with pytest.raises(FacebookRequestError) as refused:
        CustomAudience(audience["id"], api=api).api_get()
    assert refused.value.api_error_code() == 100
    api._session.requests.close()
