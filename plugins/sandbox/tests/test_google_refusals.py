"""Section 14 of google.md for OAuth and the Data Manager API: each test is named after its row."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest
import requests

from .conftest import GoogleClient

DAY = 86_400


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


DIGEST = sha("ann@example.com")
ANN, BOB = {"emailAddress": DIGEST}, {"emailAddress": sha("bob@example.com")}
ADDRESS = {"givenName": sha("ann"), "familyName": sha("silva"), "regionCode": "PT", "postalCode": "1229-076"}
MOBILE = {"mobileData": {"mobileIds": ["aebe52e7-03ee-455a-b3c4-e57283966239"]}}
LISTS = "v1/accountTypes/GOOGLE_ADS/accounts/1234567890/userLists"
CONTACTS = {"uploadKeyTypes": ["CONTACT_ID"]}
TRANSCODER = "transcoder"


def reasons(answer: Any, status: int = 400) -> list[str]:
    """The reasons of a refusal by the service, or `transcoder` for one by the front end; nothing was taken."""
    body = answer.json()
    assert (answer.status_code, body["error"]["code"]) == (status, status), body
    details = body["error"].get("details", [])
    violations = [each for detail in details for each in detail.get("fieldViolations", [])]
    if all("reason" not in each for each in violations):
        assert body["error"]["message"].startswith("Invalid JSON payload received.")
        return [TRANSCODER]
    assert {detail["@type"].rpartition(".")[2] for detail in details} == {"ErrorInfo", "RequestInfo", "BadRequest"}
    return [each["reason"] for each in violations]


@pytest.fixture
def vip(google_twin: GoogleClient) -> str:
    return google_twin.create()


class SendEvent(Protocol):
    """Send so many events, some of their fields changed."""

    def __call__(self, number: int = 1, top: Any = None, **changes: Any) -> requests.Response: ...


@pytest.fixture
def event(google_twin: GoogleClient) -> SendEvent:
    def send(number: int = 1, top: Any = None, **changes: Any) -> requests.Response:
        moment = datetime.fromtimestamp(google_twin.now() - 60, UTC).isoformat()
        one = {"eventTimestamp": moment, "eventSource": "WEB", "userData": {"userIdentifiers": [ANN]}}
        one = {name: value for name, value in (one | changes).items() if value is not None}
        body = {"destinations": [google_twin.to("7631611119")], "events": [one] * number, "encoding": "HEX"}
        return google_twin.send("POST", "v1/events:ingest", body | (top or {}))

    return send


def test_row_01_no_or_bad_bearer(google_twin: GoogleClient) -> None:
    google_twin.configure(tokens={"old": {"user": "owner@sandbox.example", "expires_at": 1}})
    google_twin.configure(tokens={"gone": {"user": "owner@sandbox.example", "calls_left": 0}})
    for token in ("", "other", "old", "gone"):
        answer = google_twin.send("GET", LISTS, token=token)
        assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


def test_row_02_token_without_the_scope(google_twin: GoogleClient) -> None:
    scopes = ["https://www.googleapis.com/auth/adwords"]
    google_twin.configure(tokens={"narrow": {"user": "owner@sandbox.example", "scopes": scopes}})
    answer = google_twin.send("GET", LISTS, token="narrow")
    assert answer.status_code == 403
    assert answer.json()["error"]["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    assert "insufficient_scope" in answer.headers["WWW-Authenticate"]


def test_row_03_no_user_of_the_login_account(google_twin: GoogleClient, vip: str) -> None:
    def account(number: str) -> dict[str, str]:
        return {"accountType": "GOOGLE_ADS", "accountId": number}

    for way in (
        {"operatingAccount": account("5556667777")},
        {"operatingAccount": account("2223334444")},
        {"loginAccount": account("5556667777")},
        {"loginAccount": account("404")},
    ):
        answer = google_twin.ingest(vip, [ANN], destinations=[google_twin.to(vip) | way])
        assert (answer.status_code, answer.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
        assert answer.json()["error"]["details"][0]["reason"] == "PERMISSION_DENIED"
    managed = "v1/accountTypes/GOOGLE_ADS/accounts/2223334444/userLists"
    assert google_twin.send("GET", managed).status_code == 403
    by_manager = {"login-account": "accountTypes/GOOGLE_ADS/accounts/9998887777"}
    assert google_twin.send("GET", managed, headers=by_manager).status_code == 200


def test_row_04_requests_per_minute_and_day(google_twin: GoogleClient) -> None:
    google_twin.configure(per_minute=2)
    answers = [google_twin.send("GET", LISTS).status_code for _ in range(3)]
    assert answers.count(429) >= 1
    error = google_twin.send("GET", LISTS).json()["error"]
    assert (error["status"], error["details"][0]["reason"]) == ("RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED")
    google_twin.advance(60)
    assert google_twin.send("GET", LISTS).status_code == 200
    google_twin.configure(per_day=1)
    google_twin.advance(60)
    assert google_twin.send("GET", LISTS).json()["error"]["details"][0]["metadata"]["quota_limit_value"] == "1"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "v1/audienceMembers/ingest"),
        ("GET", "v1/audienceMembers:ingest"),
        ("PUT", LISTS),
        ("GET", "v2/userLists"),
        ("GET", f"{LISTS}/404"),
    ],
)
def test_row_05_wrong_verb_or_unknown_path(google_twin: GoogleClient, method: str, path: str) -> None:
    answer = google_twin.send(method, path)
    assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"3",
        b"{} x",
        b"{",
        b'{"encoding":"HEX","encoding":"HEX"}',
        b'{"audienceMembers":[],"audience_members":[]}',
        b'{"validateOnly":"true"}',
        b'{"audienceMembers":{}}',
        b'{"audienceMembers":[null]}',
        b'{"destinations":[{"operatingAccount":{"accountId":123}}]}',
        b"[" * 5_000,
        b'{"encoding":"\xff"}',
    ],
)
def test_row_06_no_json_object_with_each_key_once(google_twin: GoogleClient, body: bytes) -> None:
    assert reasons(google_twin.send("POST", "v1/audienceMembers:ingest", body)) == [TRANSCODER]


def test_row_06_body_that_is_not_called_json(google_twin: GoogleClient) -> None:
    answer = google_twin.send("POST", "v1/audienceMembers:ingest", b"{}", headers={"Content-Type": "text/plain"})
    assert reasons(answer) == [TRANSCODER]


def test_row_07_unknown_fields(google_twin: GoogleClient, vip: str, event: SendEvent) -> None:
    for wrong in ({"addressInfo": ADDRESS}, {"hashedEmail": DIGEST}, {"address": ADDRESS | {"countryCode": "PT"}}):
        answer = google_twin.ingest(vip, [ANN], [wrong])
        assert reasons(answer) == [TRANSCODER]
        assert "at 'audience_members[1].user_data.user_identifiers[0]" in answer.json()["error"]["message"]
    terms = {"customerMatchTermsOfServiceStatus": "ACCEPTED"}
    assert reasons(google_twin.remove(vip, [ANN], termsOfService=terms)) == [TRANSCODER]
    assert reasons(google_twin.remove(vip, [ANN], consent={})) == [TRANSCODER]
    assert reasons(event(top={"termsOfService": terms})) == [TRANSCODER]


def test_row_07_two_members_of_a_oneof(google_twin: GoogleClient, vip: str) -> None:
    both = {"emailAddress": DIGEST, "phoneNumber": DIGEST}
    assert reasons(google_twin.ingest(vip, [both])) == [TRANSCODER]
    user = {"userIdentifiers": [ANN]}
    assert reasons(google_twin.ingest(vip, {"userData": user} | MOBILE)) == [TRANSCODER]
    assert reasons(google_twin.ingest(vip, {"userData": user, "compositeData": {"userData": user}})) == [TRANSCODER]


def test_row_08_enums(google_twin: GoogleClient, vip: str) -> None:
    granted = {"adUserData": "GRANTED", "adPersonalization": "GRANTED"}
    named: list[dict[str, Any]] = [{"consent": granted}, {"encoding": "hex"}, {"encoding": "1"}, {"encoding": True}]
    for wrong in named:
        assert reasons(google_twin.ingest(vip, [ANN], **wrong)) == [TRANSCODER]
    for value in (99, 0, "ENCODING_UNSPECIFIED"):
        assert reasons(google_twin.ingest(vip, [ANN], encoding=value)) == ["INVALID_ENUM_VALUE"]
    info = {"uploadKeyTypes": ["CONTACT_INFO"]}
    answer = google_twin.send("POST", LISTS, {"displayName": "New", "ingestedUserListInfo": info})
    assert reasons(answer) == [TRANSCODER]


def test_row_09_no_destinations_or_members(google_twin: GoogleClient, vip: str) -> None:
    missing: tuple[Any, ...] = (None, [])
    for nothing in missing:
        assert reasons(google_twin.ingest(vip, [ANN], destinations=nothing)) == ["REQUIRED_FIELD_MISSING"]
        assert reasons(google_twin.ingest(vip, audienceMembers=nothing)) == ["REQUIRED_FIELD_MISSING"]


def test_row_10_too_many(google_twin: GoogleClient, vip: str, event: SendEvent) -> None:
    many = [google_twin.to(vip)] * 11
    assert reasons(google_twin.ingest(vip, [ANN], destinations=many)) == ["TOO_MANY_DESTINATIONS"]
    assert reasons(google_twin.ingest(vip, *[[ANN]] * 10_001)) == ["TOO_MANY_AUDIENCE_MEMBERS"]
    assert reasons(google_twin.ingest(vip, [ANN] * 11)) == ["TOO_MANY_USER_IDENTIFIERS"]
    assert reasons(google_twin.ingest(vip, {"mobileData": {"mobileIds": ["a"] * 11}})) == ["TOO_MANY_ELEMENTS"]
    assert reasons(event(number=2_001)) == ["TOO_MANY_EVENTS"]


def test_row_11_references(google_twin: GoogleClient, vip: str) -> None:
    twice = [google_twin.to(vip, reference="a"), google_twin.to(vip, reference="a")]
    assert reasons(google_twin.ingest(vip, [ANN], destinations=twice)) == ["DUPLICATE_DESTINATION_REFERENCE"]
    member = {"userData": {"userIdentifiers": [ANN]}, "destinationReferences": ["b"]}
    assert reasons(google_twin.ingest(vip, member, destinations=twice[:1])) == ["INVALID_DESTINATION"]


@pytest.mark.parametrize("number", ["123-456-7890", "abc", "１２３"])
def test_row_12_account_id_that_is_no_number(google_twin: GoogleClient, vip: str, number: str) -> None:
    answer = google_twin.ingest(vip, [ANN], destinations=[google_twin.to(vip, account=number)])
    assert reasons(answer) == ["INVALID_NUMBER_FORMAT"]
    assert answer.json()["error"]["details"][2]["fieldViolations"][0]["field"].startswith("destinations[0]")


@pytest.mark.parametrize("number", ["customers/1234567890/userLists/7090000001", "vip", "7090999999"])
def test_rows_13_and_14_list_id(google_twin: GoogleClient, vip: str, number: str) -> None:
    assert reasons(google_twin.ingest(number, [ANN])) == ["INVALID_USER_LIST_ID"]


def test_row_14_list_of_another_account_closed_or_deleted(google_twin: GoogleClient, vip: str) -> None:
    elsewhere = [google_twin.to(vip, account="9998887777")]
    assert reasons(google_twin.ingest(vip, [ANN], destinations=elsewhere)) == ["INVALID_USER_LIST_ID"]
    google_twin.send("PATCH", f"{LISTS}/{vip}", {"membershipStatus": "CLOSED"}, updateMask="membershipStatus")
    assert reasons(google_twin.ingest(vip, [ANN])) == ["INVALID_USER_LIST_ID"]
    google_twin.send("PATCH", f"{LISTS}/{vip}", {"membershipStatus": "OPEN"}, updateMask="membership_status")
    assert google_twin.ingest(vip, [ANN]).status_code == 200
    assert google_twin.send("DELETE", f"{LISTS}/{vip}").json() == {}
    assert reasons(google_twin.ingest(vip, [ANN])) == ["INVALID_USER_LIST_ID"]


def test_row_15_data_of_another_kind_than_the_list(google_twin: GoogleClient, vip: str) -> None:
    answer = google_twin.ingest(vip, MOBILE)
    assert reasons(answer) == ["INVALID_USER_LIST_TYPE"]
    info = {"uploadKeyTypes": ["MOBILE_ID"], "mobileIdInfo": {"keySpace": "IOS", "appId": "1"}}
    mobile = google_twin.create(displayName="Mobile", ingestedUserListInfo=info)
    assert reasons(google_twin.ingest(mobile, [ANN])) == ["INVALID_USER_LIST_TYPE"]


def test_row_16_linked_account_without_a_data_partner(google_twin: GoogleClient, vip: str) -> None:
    manager = {"accountType": "GOOGLE_ADS", "accountId": "9998887777"}
    for login in ({}, {"loginAccount": manager}):
        destination = google_twin.to(vip, linkedAccount=manager) | login
        answer = google_twin.ingest(vip, [ANN], destinations=[destination])
        assert reasons(answer) == ["LINKED_ACCOUNT_ONLY_ALLOWED_WITH_DATA_PARTNER_LOGIN_ACCOUNT"]


def test_row_17_user_data_without_encoding(google_twin: GoogleClient, vip: str) -> None:
    answer = google_twin.ingest(vip, [ANN], encoding=None)
    assert reasons(answer) == ["REQUIRED_FIELD_MISSING"]
    assert answer.json()["error"]["details"][2]["fieldViolations"][0]["field"] == "encoding"


@pytest.mark.parametrize(
    ("value", "encoding", "reason"),
    [
        ("ann@example.com", "HEX", "INVALID_HEX_ENCODING"),
        ("", "HEX", "INVALID_HEX_ENCODING"),
        (DIGEST[:-1], "HEX", "INVALID_HEX_ENCODING"),
        (DIGEST[:-2], "HEX", "INVALID_SHA256_FORMAT"),
        (DIGEST + "00", "HEX", "INVALID_SHA256_FORMAT"),
        (DIGEST, "BASE64", "INVALID_SHA256_FORMAT"),
        (base64.b64encode(bytes.fromhex(DIGEST)).decode().rstrip("="), "BASE64", "INVALID_BASE64_ENCODING"),
        (base64.urlsafe_b64encode(b"\xff" * 32).decode(), "BASE64", "INVALID_BASE64_ENCODING"),
    ],
)
def test_rows_18_to_20_digests(google_twin: GoogleClient, vip: str, value: str, encoding: str, reason: str) -> None:
    answer = google_twin.ingest(vip, [ANN], [{"phoneNumber": value}], encoding=encoding)
    assert reason in reasons(answer)
    places = [each["field"] for each in answer.json()["error"]["details"][2]["fieldViolations"]]
    assert "audience_members.audience_members[1].user_data.user_identifiers" in places
    assert len(value) < 16 or value not in answer.text


@pytest.mark.parametrize("part", list(ADDRESS))
def test_row_21_address_that_lacks_a_part(google_twin: GoogleClient, vip: str, part: str) -> None:
    address = {name: value for name, value in ADDRESS.items() if name != part}
    assert reasons(google_twin.ingest(vip, [{"address": address}])) == ["REQUIRED_FIELD_MISSING"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"regionCode": sha("PT")}, "INVALID_REGION_CODE"),
        ({"regionCode": "PRT"}, "INVALID_REGION_CODE"),
        ({"postalCode": sha("1229-076")}, "INVALID_POSTAL_CODE"),
        ({"givenName": "ann"}, "INVALID_HEX_ENCODING"),
        ({"familyName": "abcd"}, "INVALID_SHA256_FORMAT"),
    ],
)
def test_rows_22_and_23_parts_of_an_address(google_twin: GoogleClient, vip: str, change: Any, reason: str) -> None:
    assert reasons(google_twin.ingest(vip, [{"address": ADDRESS | change}])) == [reason]


def test_row_24_nothing_in_an_identifier_or_a_member(google_twin: GoogleClient, vip: str) -> None:
    assert reasons(google_twin.ingest(vip, [{}])) == ["REQUIRED_FIELD_MISSING"]
    assert reasons(google_twin.ingest(vip, [])) == ["REQUIRED_FIELD_MISSING"]
    assert reasons(google_twin.ingest(vip, {}))[0] == "INVALID_AUDIENCE_MEMBER"


def test_row_25_two_types_of_data(google_twin: GoogleClient, vip: str) -> None:
    composite = {"compositeData": {"userData": {"userIdentifiers": [ANN]}}}
    for other in (MOBILE, composite):
        assert reasons(google_twin.ingest(vip, [ANN], other)) == ["MULTIPLE_DATA_TYPES_NOT_ALLOWED"]


@pytest.mark.parametrize("terms", [None, {}, {"customerMatchTermsOfServiceStatus": "REJECTED"}])
def test_row_26_terms_not_accepted(google_twin: GoogleClient, vip: str, terms: Any) -> None:
    assert reasons(google_twin.ingest(vip, [ANN], termsOfService=terms)) == ["TERMS_AND_CONDITIONS_NOT_SIGNED"]


def test_row_27_remove_all_as_of_the_future(google_twin: GoogleClient, vip: str) -> None:
    time = datetime.fromtimestamp(google_twin.now() + 60, UTC).isoformat()
    body = {"destinations": [google_twin.to(vip)], "removeAsOfTime": time}
    assert reasons(google_twin.send("POST", "v1/audienceMembers:removeAll", body)) == ["INVALID_REMOVE_AS_OF_TIME"]


def test_row_28_ip_data(google_twin: GoogleClient, vip: str) -> None:
    for wrong in (sha("203.0.113.9"), "1.2.3"):
        member = {"compositeData": {"userData": {"userIdentifiers": [ANN]}, "ipData": [{"ipAddress": wrong}]}}
        assert reasons(google_twin.ingest(vip, member)) == ["INVALID_FORMAT"]
    video = {"name": "Video", "type": "DISPLAY_VIDEO_ADVERTISER", "users": ["owner@sandbox.example"]}
    google_twin.configure(accounts={"77": video})
    listed = "v1/accountTypes/DISPLAY_VIDEO_ADVERTISER/accounts/77/userLists"
    made = google_twin.send("POST", listed, {"displayName": "V", "ingestedUserListInfo": CONTACTS}).json()
    account = {"accountType": "DISPLAY_VIDEO_ADVERTISER", "accountId": "77"}
    member["compositeData"]["ipData"] = [{"ipAddress": "203.0.113.9"}]
    to = [{"operatingAccount": account, "productDestinationId": made["id"]}]
    assert reasons(google_twin.ingest(vip, member, destinations=to)) == ["INVALID_DESTINATION"]


def test_row_29_status_of_no_accepted_request(google_twin: GoogleClient, vip: str) -> None:
    checked = google_twin.ingest(vip, [ANN], validateOnly=True)
    assert (checked.status_code, checked.json()) == (200, {})
    failed = google_twin.ingest(vip, [{}]).json()["error"]["details"][0]["metadata"]["requestId"]
    for number in ("", "other", failed):
        answer = google_twin.send("GET", "v1/requestStatus:retrieve", requestId=number)
        assert reasons(answer) == ["INVALID_REQUEST_ID"]
    assert reasons(google_twin.send("GET", "v1/requestStatus:retrieve")) == ["INVALID_REQUEST_ID"]
    number = google_twin.ingest(vip, [ANN]).json()["requestId"]
    google_twin.advance(51 * DAY)
    assert reasons(google_twin.send("GET", "v1/requestStatus:retrieve", requestId=number)) == ["REQUEST_TOO_OLD"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"displayName": None}, "REQUIRED_FIELD_MISSING"),
        ({"displayName": "VIP"}, "DISPLAY_NAME_ALREADY_USED"),
        ({"ingestedUserListInfo": None}, "REQUIRED_FIELD_MISSING"),
        ({"ingestedUserListInfo": {}}, "REQUIRED_FIELD_MISSING"),
        (
            {"ingestedUserListInfo": {"uploadKeyTypes": ["CONTACT_ID", "USER_ID"]}},
            "UNSUPPORTED_USER_LIST_UPLOAD_KEY_TYPES",
        ),
        ({"membershipDuration": "1.5s"}, "INVALID_ARGUMENT"),
        ({"membershipDuration": f"{541 * DAY}s"}, "MEMBERSHIP_DURATION_TOO_LONG"),
        ({"membershipDuration": "540d"}, TRANSCODER),
    ],
)
def test_row_30_list_that_cannot_be_made(google_twin: GoogleClient, vip: str, change: Any, reason: str) -> None:
    body = {"displayName": "New", "ingestedUserListInfo": CONTACTS} | change
    answer = google_twin.send("POST", LISTS, {name: value for name, value in body.items() if value is not None})
    assert reasons(answer) == [reason]


def test_row_30_fields_that_google_sets_are_ignored(google_twin: GoogleClient) -> None:
    body = {"displayName": "New", "ingestedUserListInfo": CONTACTS, "id": "5", "readOnly": True}
    made = google_twin.send("POST", LISTS, body).json()
    assert (made["id"] != "5", made["readOnly"], made["membershipDuration"]) == (True, False, "46656000s")


def test_row_31_immutable_fields(google_twin: GoogleClient, vip: str) -> None:
    body = {"ingestedUserListInfo": {"uploadKeyTypes": ["USER_ID"]}}
    for mask in ({}, {"updateMask": "ingestedUserListInfo.uploadKeyTypes"}):
        assert reasons(google_twin.send("PATCH", f"{LISTS}/{vip}", body, **mask)) == ["IMMUTABLE_FIELD_FOR_UPDATE"]
    assert reasons(google_twin.send("PATCH", f"{LISTS}/{vip}", {}, updateMask="id")) == ["INVALID_UPDATE_MASK"]


def test_row_32_tokens_of_pages_and_filters(google_twin: GoogleClient, vip: str) -> None:
    other = google_twin.create(displayName="Other", integrationCode="segment:aud_42")
    first = google_twin.send("GET", LISTS, pageSize=1).json()
    second = google_twin.send("GET", LISTS, pageSize=1, pageToken=first["nextPageToken"]).json()
    assert [page["userLists"][0]["id"] for page in (first, second)] == [vip, other]
    assert "nextPageToken" not in second
    found = google_twin.send("GET", LISTS, filter='integration_code = "segment:aud_42" AND display_name = Other').json()
    assert [each["id"] for each in found["userLists"]] == [other]
    changed = {"pageToken": first["nextPageToken"], "filter": f"id = {vip}"}
    for wrong in (changed, {"pageToken": "x"}):
        assert reasons(google_twin.send("GET", LISTS, **wrong)) == ["INVALID_PAGE_TOKEN"]
    for text in ("colour = red", "id =", "id = 1 OR id = 2", 'id = "1" AND '):
        assert reasons(google_twin.send("GET", LISTS, filter=text)) == ["INVALID_FILTER"]


def test_row_33_no_declaration_on_political_ads(google_twin: GoogleClient, vip: str, event: SendEvent) -> None:
    google_twin.configure(accounts={"1234567890": {"eu_declaration": False}})
    wanted = ["EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED"]
    assert reasons(google_twin.ingest(vip, [ANN])) == wanted
    body = {"displayName": "New", "ingestedUserListInfo": CONTACTS}
    assert reasons(google_twin.send("POST", LISTS, body)) == wanted


def test_row_34_events(google_twin: GoogleClient, event: SendEvent) -> None:
    future = datetime.fromtimestamp(google_twin.now() + DAY, UTC).isoformat()
    for change, reason in (
        ({"eventTimestamp": None}, "REQUIRED_FIELD_MISSING"),
        ({"userData": None}, "NO_IDENTIFIERS_PROVIDED"),
        ({"eventSource": None}, "REQUIRED_FIELD_MISSING"),
        ({"eventTimestamp": future}, "EVENT_TIME_INVALID"),
        ({"eventTimestamp": "2026-11-01 10:00:00"}, TRANSCODER),
        ({"currency": "euro"}, "INVALID_CURRENCY_CODE"),
        ({"userData": {"userIdentifiers": [{"emailAddress": "ann@example.com"}]}}, "INVALID_HEX_ENCODING"),
    ):
        assert reasons(event(**change)) == [reason]
    assert reasons(event(top={"destinations": [google_twin.to("1")]})) == ["INVALID_CONVERSION_ACTION_ID"]
    assert google_twin.lines("events") == []
    for _ in range(2):
        assert "requestId" in event(transactionId="order-1", conversionValue=49.95, currency="EUR").json()
    assert "requestId" in event(userData=None, adIdentifiers={"gclid": "Cj0"}).json()
    seen = [(each["transaction_id"], each["duplicate"], each["person_id"]) for each in google_twin.lines("events")]
    assert seen == [("order-1", False, "p-ann"), ("order-1", True, "p-ann"), (None, False, None)]


def test_what_events_come_to_is_counted_later_by_action(google_twin: GoogleClient, event: SendEvent) -> None:
    actions = {"1": {"account": "1234567890", "name": "Lead"}}
    google_twin.configure(processing=0, conversion_actions=actions)
    places = [google_twin.to(number) | {"reference": number} for number in ("7631611119", "1")]
    old = datetime.fromtimestamp(google_twin.now() - 91 * DAY, UTC).isoformat()
    found = []
    changes: list[dict[str, Any]] = [{"transactionId": "o-1"}, {"transactionId": "o-1"}, {"eventTimestamp": old}]
    for change in changes:
        number = event(top={"destinations": places}, destinationReferences=["1"], **change).json()["requestId"]
        answer = google_twin.send("GET", "v1/requestStatus:retrieve", requestId=number).json()
        none, one = answer["requestStatusPerDestination"]
        assert (none["requestStatus"], none["eventsIngestionStatus"]) == ("SUCCESS", {"recordCount": "0"})
        counts = one.get("errorInfo", {}).get("errorCounts", [])
        found.append((one["requestStatus"], [each["reason"].removeprefix("PROCESSING_ERROR_") for each in counts]))
    duplicate, too_old = ("FAILED", ["REASON_DUPLICATE_TRANSACTION_ID"]), ("FAILED", ["REASON_EVENT_TOO_OLD"])
    assert found == [("SUCCESS", []), duplicate, too_old]
    assert [each["conversion_action"] for each in google_twin.lines("events")] == ["1", "1"]


def test_one_bad_member_refuses_the_whole_request(google_twin: GoogleClient, vip: str) -> None:
    google_twin.configure(processing=0)
    answer = google_twin.ingest(vip, [ANN], [{"emailAddress": "bob"}], [{"emailAddress": "cem"}])
    assert reasons(answer) == ["INVALID_HEX_ENCODING"] * 2
    assert google_twin.people(vip) == []
    assert google_twin.control("GET", "submissions") == []


def test_must_accept(google_twin: GoogleClient, vip: str) -> None:
    google_twin.configure(processing=0)
    account = {"account_type": 1, "account_id": "1234567890"}
    snake = {
        "destinations": [{"operating_account": account, "product_destination_id": vip}],
        "audience_members": [{"user_data": {"user_identifiers": [{"email_address": DIGEST.upper()}]}}],
        "consent": {"ad_user_data": 1, "ad_personalization": 1},
        "encoding": 1,
        "terms_of_service": {"customer_match_terms_of_service_status": 1},
    }
    path = "v1/audienceMembers:ingest?%24alt=json%3Benum-encoding%3Dint"
    headers = {"login-customer-id": "5556667777", "developer-token": "x", "login-account": "whatever"}
    assert "requestId" in google_twin.send("POST", path, snake, headers=headers).json()
    assert google_twin.people(vip) == ["p-ann"]
    same = google_twin.to(vip, loginAccount={"accountType": "GOOGLE_ADS", "accountId": "1234567890"})
    by_manager = google_twin.to(vip, loginAccount={"accountType": "GOOGLE_ADS", "accountId": "9998887777"})
    for way in (same, by_manager):
        assert "requestId" in google_twin.ingest(vip, [ANN], destinations=[way]).json()
    assert "requestId" in google_twin.remove(vip, [BOB]).json()
    spaced = json.dumps({"destinations": [same], "audienceMembers": [MOBILE]}, indent=1)
    assert reasons(google_twin.send("POST", "v1/audienceMembers:remove", spaced.encode())) == ["INVALID_USER_LIST_TYPE"]
