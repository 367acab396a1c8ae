"""Google's own Data Manager client, unmodified, drives the twin over REST (google.md 13)."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from google.ads import datamanager_v1 as dm
from google.api_core.exceptions import BadRequest, Forbidden, NotFound, ServiceUnavailable
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials

from .conftest import GoogleClient

PARENT = "accountTypes/GOOGLE_ADS/accounts/1234567890"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def client(kind: Any, url: str, token: str = "sandbox-token") -> Any:
    credentials: Any = Credentials
    return kind(transport="rest", credentials=credentials(token), client_options={"api_endpoint": url})


@pytest.fixture
def ingestion(google_twin: GoogleClient) -> Iterator[Any]:
    with client(dm.IngestionServiceClient, google_twin.url) as made:
        yield made


@pytest.fixture
def lists(google_twin: GoogleClient) -> Iterator[Any]:
    with client(dm.UserListServiceClient, google_twin.url) as made:
        yield made


def wanted(name: str) -> Any:
    info = dm.IngestedUserListInfo(upload_key_types=[dm.IngestedUserListInfo.UploadKeyType.CONTACT_ID])
    return dm.UserList(display_name=name, integration_code=name, ingested_user_list_info=info)


def destination(user_list: Any) -> Any:
    account = dm.ProductAccount(account_type=dm.ProductAccount.AccountType.GOOGLE_ADS, account_id="1234567890")
    return dm.Destination(operating_account=account, product_destination_id=str(user_list.id))


def member(email: str) -> Any:
    identifier = dm.UserIdentifier(email_address=sha(email))
    return dm.AudienceMember(composite_data=dm.CompositeData(user_data=dm.UserData(user_identifiers=[identifier])))


def ingest(ingestion: Any, user_list: Any, *emails: str, **more: Any) -> Any:
    granted = dm.ConsentStatus.CONSENT_GRANTED
    accepted = dm.TermsOfServiceStatus.ACCEPTED
    request = dm.IngestAudienceMembersRequest(
        destinations=[destination(user_list)],
        audience_members=[member(email) for email in emails],
        consent=dm.Consent(ad_user_data=granted, ad_personalization=granted),
        encoding=dm.Encoding.HEX,
        terms_of_service=dm.TermsOfService(customer_match_terms_of_service_status=accepted),
        **more,
    )
    return ingestion.ingest_audience_members(request=request)


def status(ingestion: Any, answer: Any) -> Any:
    request = dm.RetrieveRequestStatusRequest(request_id=answer.request_id)
    return ingestion.retrieve_request_status(request=request).request_status_per_destination[0]


def test_lists_are_made_read_paged_changed_and_deleted(lists: Any) -> None:
    made = [lists.create_user_list(parent=PARENT, user_list=wanted(f"list {n}")) for n in range(3)]
    assert lists.get_user_list(name=made[0].name).display_name == "list 0"
    request = dm.ListUserListsRequest(parent=PARENT, page_size=2)
    assert [each.id for each in lists.list_user_lists(request=request)] == [each.id for each in made]
    request = dm.ListUserListsRequest(parent=PARENT, filter='integration_code = "list 1"')
    assert [each.id for each in lists.list_user_lists(request=request)] == [made[1].id]
    changed = dm.UserList(name=made[0].name, display_name="new", description="d")
    request = dm.UpdateUserListRequest(user_list=changed, update_mask={"paths": ["display_name"]})
    shown = lists.update_user_list(request=request)
    assert (shown.display_name, shown.description) == ("new", "")
    lists.delete_user_list(name=made[0].name)
    with pytest.raises(NotFound):
        lists.get_user_list(name=made[0].name)


def test_members_are_added_and_removed_in_time(google_twin: GoogleClient, ingestion: Any, lists: Any) -> None:
    user_list = lists.create_user_list(parent=PARENT, user_list=wanted("VIP"))
    added = ingest(ingestion, user_list, "ann@example.com", "bob@example.com")
    states = dm.RequestStatusPerDestination.RequestStatus
    assert status(ingestion, added).request_status == states.PROCESSING
    google_twin.advance(1_800)
    done = status(ingestion, added)
    counts = done.audience_members_ingestion_status.composite_data_ingestion_status
    assert (done.request_status, counts.record_count) == (states.SUCCESS, 2)
    assert google_twin.people(str(user_list.id)) == ["p-ann", "p-bob"]
    removal = dm.RemoveAudienceMembersRequest(
        destinations=[destination(user_list)], audience_members=[member("ann@example.com")], encoding=dm.Encoding.HEX
    )
    removed = ingestion.remove_audience_members(request=removal)
    google_twin.advance(1_800)
    assert status(ingestion, removed).audience_members_removal_status
    assert google_twin.people(str(user_list.id)) == ["p-bob"]
    every = dm.RemoveAllAudienceMembersRequest(destinations=[destination(user_list)])
    ingestion.remove_all_audience_members(request=every)
    google_twin.advance(1_800)
    assert google_twin.people(str(user_list.id)) == []


def test_events_are_taken(google_twin: GoogleClient, ingestion: Any) -> None:
    to = destination(dm.UserList(id=7631611119))
    event = dm.Event(
        event_timestamp=datetime.fromtimestamp(google_twin.now() - 60, UTC),
        event_source=dm.EventSource.WEB,
        transaction_id="order-1",
        user_data=dm.UserData(user_identifiers=[dm.UserIdentifier(email_address=sha("ann@example.com"))]),
    )
    request = dm.IngestEventsRequest(destinations=[to], events=[event], encoding=dm.Encoding.HEX)
    assert ingestion.ingest_events(request=request).request_id
    assert google_twin.lines("events")[0]["person_id"] == "p-ann"


def test_refusals_are_understood(google_twin: GoogleClient, ingestion: Any, lists: Any) -> None:
    user_list = lists.create_user_list(parent=PARENT, user_list=wanted("VIP"))
    with pytest.raises(BadRequest) as refused:
        ingest(ingestion, user_list)
    assert (refused.value.reason, refused.value.domain) == ("INVALID_ARGUMENT", "datamanager.googleapis.com")
    other = PARENT.replace("1234567890", "5556667777")
    with pytest.raises(Forbidden):
        lists.create_user_list(parent=other, user_list=wanted("VIP"))
    managed = PARENT.replace("1234567890", "2223334444")
    metadata = [("login-account", "accountTypes/GOOGLE_ADS/accounts/9998887777")]
    assert lists.create_user_list(parent=managed, user_list=wanted("VIP"), metadata=metadata).id
    with client(dm.UserListServiceClient, google_twin.url, "other") as stranger, pytest.raises(RefreshError):
        stranger.get_user_list(name=user_list.name)
    body = {"error": {"code": 503, "message": "The service is currently unavailable.", "status": "UNAVAILABLE"}}
    google_twin.fault("status", ":removeAll$", status=503, body=body)
    with pytest.raises(ServiceUnavailable):
        ingestion.remove_all_audience_members(request={"destinations": [destination(user_list)]})
