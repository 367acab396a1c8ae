"""TikTok's own SDK, unmodified, drives the twin: the methods that the contract lists in section 10."""

import hashlib
from pathlib import Path
from typing import Any, Protocol

import business_api_client
import pytest
from business_api_client.rest import ApiException

from .conftest import TikTokClient

A, TOKEN = "7000000000000000001", "sandbox-token"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


ANN, BOB = sha("ann@example.com"), sha("bob@example.com")
ONLY = {"_return_http_data_only": True}


@pytest.fixture
def client(tiktok_twin: TikTokClient) -> Any:
    tiktok_twin.configure(floor=1)
    configuration = business_api_client.Configuration()
    configuration.host = tiktok_twin.url
    client = business_api_client.ApiClient(configuration)
    yield client
    client.pool.close()
    client.pool.join()
    client.rest_client.pool_manager.clear()


@pytest.fixture
def audiences(client: Any) -> Any:
    return business_api_client.AudienceApi(client)


class Upload(Protocol):
    """Upload a file of these values; its path."""

    def __call__(self, *values: str) -> str: ...


@pytest.fixture
def uploaded(audiences: Any, tmp_path: Path) -> Upload:
    def upload(*values: str) -> str:
        file = tmp_path / "people.csv"
        file.write_text("".join(f"{value}\n" for value in values))
        answer = audiences.dmp_custom_audience_file_upload(
            TOKEN,
            advertiser_id=A,
            file=str(file),
            file_signature=hashlib.md5(file.read_bytes()).hexdigest(),
            calculate_type="EMAIL_SHA256",
            **ONLY,
        )
        return str(answer["data"]["file_path"])

    return upload


def test_sign_in_and_advertisers(client: Any, tiktok_twin: TikTokClient) -> None:
    api = business_api_client.AuthenticationApi(client)
    body = business_api_client.Oauth2AccessTokenBody("sandbox-app", tiktok_twin.consent(), "sandbox-secret")
    granted = api.oauth2_access_token(body=body, **ONLY)["data"]
    assert granted["advertiser_ids"] == [A]
    listed = api.oauth2_advertiser_get("sandbox-app", "sandbox-secret", granted["access_token"], **ONLY)
    assert listed["data"]["list"] == [{"advertiser_id": A, "advertiser_name": "Sandbox advertiser"}]


def test_a_customer_file_audience_from_upload_to_delete(
    audiences: Any, uploaded: Upload, tiktok_twin: TikTokClient
) -> None:
    body = business_api_client.CustomAudienceCreateBody(
        advertiser_id=A, custom_audience_name="VIP", file_paths=[uploaded(ANN)], calculate_type="EMAIL_SHA256"
    )
    made = audiences.dmp_custom_audience_create(TOKEN, body=body, **ONLY)["data"]["custom_audience_id"]
    tiktok_twin.advance(3_600)
    (found,) = audiences.dmp_custom_audience_get(A, [made], TOKEN, **ONLY)["data"]["list"]
    assert (found["audience_details"]["cover_num"], found["audience_details"]["is_valid"]) == (1, True)
    change = business_api_client.CustomAudienceUpdateBody(
        advertiser_id=A, custom_audience_id=made, file_paths=[uploaded(BOB)]
    )
    audiences.dmp_custom_audience_update(TOKEN, body=change, **ONLY)
    tiktok_twin.advance(3_600)
    # The model fills in REPLACE by itself (contract 5.3).
    assert tiktok_twin.lines(f"audiences/{made}/people") == ["p-bob"]
    # Nor do its REPLACE and no file change who is in.
    named = business_api_client.CustomAudienceUpdateBody(
        advertiser_id=A, custom_audience_id=made, custom_audience_name="Best customers"
    )
    audiences.dmp_custom_audience_update(TOKEN, body=named, **ONLY)
    assert (tiktok_twin.held(made)["name"], tiktok_twin.lines(f"audiences/{made}/people")) == (
        "Best customers",
        ["p-bob"],
    )
    listed = audiences.dmp_custom_audience_list(A, TOKEN, page=1, page_size=100, **ONLY)["data"]
    assert [one["audience_id"] for one in listed["list"]] == [made]
    assert listed["page_info"] == {"page": 1, "page_size": 100, "total_number": 1, "total_page": 1}
    gone = business_api_client.CustomAudienceDeleteBody(advertiser_id=A, custom_audience_ids=[made])
    audiences.dmp_custom_audience_delete(TOKEN, body=gone, **ONLY)
    assert audiences.dmp_custom_audience_list(A, TOKEN, **ONLY)["data"]["list"] == []


def test_streaming_and_events_through_the_same_client(client: Any, tiktok_twin: TikTokClient) -> None:
    def call(path: str, body: Any) -> Any:
        headers = {"Access-Token": TOKEN, "Content-Type": "application/json"}
        path = f"/open_api/v1.3/{path}"
        return client.call_api(
            path, "POST", header_params=headers, body=body, response_type="InlineResponse200", **ONLY
        )

    made = call("segment/audience/", {"advertiser_id": A, "custom_audience_name": "x" * 80})["data"]["audience_id"]
    row = [{"id": ANN, "audience_ids": [made]}]
    call("segment/mapping/", {"advertiser_ids": [A], "id_schema": ["EMAIL_SHA256"], "batch_data": [row]})
    assert tiktok_twin.lines(f"audiences/{made}/people") == ["p-ann"]
    assert tiktok_twin.held(made)["name"] == "x" * 67 + "..."
    event = {"event": "Purchase", "event_time": 1_760_000_000, "event_id": "o-1", "user": {"email": [ANN]}}
    event |= {"page": {"url": "https://shop.example/"}, "properties": {"value": 12.5, "currency": "EUR"}}
    about = {"event_source": "web", "event_source_id": "C4A1SANDBOXPIXEL"}
    for _ in range(2):
        call("event/track/", about | {"data": [event]})
    first, second = tiktok_twin.lines("events")
    assert (first["person_id"], first["duplicate"], second["duplicate"]) == ("p-ann", False, True)


def test_pixels(client: Any, tiktok_twin: TikTokClient) -> None:
    api = business_api_client.MeasurementApi(client)
    assert [each["pixel_code"] for each in api.pixel_list(A, TOKEN)["data"]["pixels"]] == ["C4A1SANDBOXPIXEL"]
    assert api.pixel_list(A, TOKEN, code="C9OTHER")["data"]["pixels"] == []


def test_a_refusal_and_a_wrong_path_are_the_sdks_errors(audiences: Any, client: Any, tiktok_twin: TikTokClient) -> None:
    with pytest.raises(Exception, match="40105"):
        audiences.dmp_custom_audience_list(A, "other", **ONLY)
    client.configuration.host = tiktok_twin.url + "/wrong"
    with pytest.raises(ApiException):
        audiences.dmp_custom_audience_list(A, TOKEN, **ONLY)
