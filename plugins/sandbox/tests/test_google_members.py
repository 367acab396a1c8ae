"""What a user list of the Google twin holds after adds and removals, in time, and what the twin tells about it."""

import hashlib
from datetime import UTC, datetime

import pytest
from sandbox.google.directory import normal_email

from .conftest import GoogleClient

HALF_AN_HOUR = 1_800
DAY = 86_400


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def email(text: str) -> dict[str, str]:
    return {"emailAddress": sha(text)}


def phone(text: str) -> dict[str, str]:
    return {"phoneNumber": sha(text)}


ANN, ANN_TOO, BOB, CEM = (
    email(f"{name}") for name in ("ann@example.com", "ann@example.org", "bob@example.com", "cem@example.com")
)
HOUSEHOLD = phone("+15550100002")
STRANGER = email("nobody@example.net")
GRANTED = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}


@pytest.fixture
def vip(google_twin: GoogleClient) -> str:
    return google_twin.create()


def test_a_request_is_applied_after_half_an_hour(google_twin: GoogleClient, vip: str) -> None:
    sent = google_twin.ingest(vip, [ANN], [STRANGER])
    google_twin.advance(HALF_AN_HOUR - 60)
    assert google_twin.status(sent)["requestStatus"] == "PROCESSING"
    assert google_twin.people(vip) == []
    google_twin.advance(60)
    status = google_twin.status(sent)
    assert (status["requestStatus"], google_twin.people(vip)) == ("SUCCESS", ["p-ann"])
    counted = {"recordCount": "2", "userIdentifierCount": "2", "uploadMatchRateRange": "MATCH_RATE_RANGE_NOT_ELIGIBLE"}
    assert status["audienceMembersIngestionStatus"] == {"userDataIngestionStatus": counted}
    assert status["destination"]["productDestinationId"] == vip


def test_a_member_is_one_person_whatever_identifies_them(google_twin: GoogleClient, vip: str) -> None:
    google_twin.configure(processing=0)
    address = {"givenName": sha("ann"), "familyName": sha("silva"), "regionCode": "pt", "postalCode": "1229-076"}
    google_twin.ingest(vip, [ANN], [phone("+15550100001")], [{"address": address}], [ANN_TOO])
    assert google_twin.people(vip) == ["p-ann"]
    assert len(google_twin.lines(f"audiences/{vip}/rows")) == 4
    google_twin.ingest(vip, [ANN, ANN_TOO])
    assert len(google_twin.lines(f"audiences/{vip}/rows")) == 3


def test_removing_some_identifiers_leaves_the_member_by_the_others(google_twin: GoogleClient, vip: str) -> None:
    google_twin.configure(processing=0)
    google_twin.ingest(vip, [ANN, ANN_TOO])
    google_twin.remove(vip, [ANN], [BOB])
    assert google_twin.people(vip) == ["p-ann"]
    (held,) = google_twin.control("GET", "audiences")
    assert (held["partly_removed"], held["held_rows"], held["requests_remove"]) == (1, 1, 1)
    google_twin.remove(vip, [ANN_TOO])
    assert google_twin.people(vip) == []


def test_members_that_share_an_identifier_are_joined(google_twin: GoogleClient, vip: str) -> None:
    google_twin.configure(processing=0)
    google_twin.ingest(vip, [BOB, HOUSEHOLD], [CEM, HOUSEHOLD])
    assert (google_twin.people(vip), len(google_twin.lines(f"audiences/{vip}/rows"))) == (["p-bob", "p-cem"], 1)
    google_twin.remove(vip, [CEM, HOUSEHOLD])
    assert google_twin.people(vip) == ["p-bob"]


def test_membership_ends_after_its_duration_unless_it_is_renewed(google_twin: GoogleClient) -> None:
    google_twin.configure(processing=0)
    short = google_twin.create(membershipDuration=f"{2 * DAY}s")
    google_twin.ingest(short, [ANN], [BOB])
    google_twin.advance(DAY)
    google_twin.ingest(short, [ANN])
    google_twin.advance(DAY)
    assert google_twin.people(short) == ["p-ann"]
    google_twin.advance(DAY)
    assert google_twin.people(short) == []


def test_consent_is_needed_in_europe_and_a_denial_counts_everywhere(google_twin: GoogleClient, vip: str) -> None:
    google_twin.configure(processing=0)
    denied = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_DENIED"}
    half = {"adUserData": "CONSENT_GRANTED"}
    members = [{"userData": {"userIdentifiers": [one]}} for one in (ANN, BOB, CEM)]
    for consent, taken, reason in (
        (None, ["p-cem"], "NO_CONSENT"),
        (half, ["p-cem"], "UNKNOWN_CONSENT"),
        (GRANTED, ["p-ann", "p-bob", "p-cem"], None),
    ):
        user_list = google_twin.create(displayName=str(consent))
        status = google_twin.status(google_twin.ingest(user_list, *members, consent=consent))
        assert google_twin.people(user_list) == taken
        reasons = status.get("errorInfo", {}).get("errorCounts", [])
        wanted = [{"recordCount": "2", "reason": f"PROCESSING_ERROR_REASON_{reason}"}] if reason else []
        assert (reasons, status["requestStatus"]) == (wanted, "PARTIAL_SUCCESS" if reason else "SUCCESS")
    own = [members[0] | {"consent": denied}, members[1], members[2] | {"consent": denied}]
    status = google_twin.status(google_twin.ingest(vip, *own))
    assert google_twin.people(vip) == ["p-bob"]
    assert status["errorInfo"]["errorCounts"][0]["recordCount"] == "2"
    failed = google_twin.status(google_twin.ingest(vip, own[0]))
    assert failed["requestStatus"] == "FAILED"


def test_gmail_is_known_without_dots_and_suffix() -> None:
    assert normal_email("  Dana@Example.COM ") == "dana@example.com"
    assert normal_email("Jefferson.Loves.hiking@gmail.com") == "jeffersonloveshiking@gmail.com"
    assert normal_email("user.name+NYC@Example.com") == "user.name+nyc@example.com"
    assert sha(normal_email("cloudy.sanfrancisco+shopping@gmail.com")).startswith("223ebda6f6889b14")
    assert sha(normal_email("j.smith+x@GoogleMail.com")).startswith("2deda3f4605a1848")


def test_remove_all_before_a_time_keeps_whom_was_added_since(google_twin: GoogleClient, vip: str) -> None:
    google_twin.configure(processing=0)
    google_twin.ingest(vip, [ANN], [BOB])
    google_twin.advance(100)
    time = datetime.fromtimestamp(google_twin.now(), UTC).isoformat()
    google_twin.advance(100)
    google_twin.ingest(vip, [ANN])
    body = {"destinations": [google_twin.to(vip)], "removeAsOfTime": time}
    sent = google_twin.send("POST", "v1/audienceMembers:removeAll", body)
    status = google_twin.status(sent)
    assert (status["requestStatus"], status["removeAllAudienceMembersStatus"]) == ("SUCCESS", {})
    assert google_twin.people(vip) == ["p-ann"]
    google_twin.advance(1)
    google_twin.send("POST", "v1/audienceMembers:removeAll", {"destinations": [google_twin.to(vip)]})
    assert google_twin.people(vip) == []


def test_several_destinations_and_references(google_twin: GoogleClient, vip: str) -> None:
    google_twin.configure(processing=0)
    other = google_twin.create(displayName="Other")
    destinations = [google_twin.to(vip, reference="vip"), google_twin.to(other, reference="other")]
    only = {"userData": {"userIdentifiers": [ANN]}, "destinationReferences": ["other"]}
    google_twin.ingest(vip, only, [BOB], destinations=destinations)
    assert (google_twin.people(vip), google_twin.people(other)) == (["p-bob"], ["p-ann", "p-bob"])


def test_sizes_are_hidden_below_the_floor_and_rounded_above(google_twin: GoogleClient, vip: str) -> None:
    google_twin.configure(processing=0)
    name = f"v1/accountTypes/GOOGLE_ADS/accounts/1234567890/userLists/{vip}"
    google_twin.ingest(vip, [ANN], [BOB], [CEM], [STRANGER])
    assert "sizeInfo" not in google_twin.send("GET", name).json()
    google_twin.configure(floor=3)
    google_twin.ingest(vip, [ANN])
    shown = google_twin.send("GET", name).json()
    assert shown["sizeInfo"]["searchNetworkMembersCount"] == "3"
    assert shown["ingestedUserListInfo"]["contactIdInfo"]["matchRatePercentage"] == 75


def test_mobile_ids_and_composite_data(google_twin: GoogleClient, vip: str) -> None:
    google_twin.configure(processing=0)
    info = {"uploadKeyTypes": ["MOBILE_ID"], "mobileIdInfo": {"keySpace": "IOS", "appId": "1"}}
    mobile = google_twin.create(displayName="Mobile", ingestedUserListInfo=info)
    google_twin.ingest(mobile, {"mobileData": {"mobileIds": ["AEBE52E7-03EE-455A-B3C4-E57283966239"]}}, encoding=None)
    assert google_twin.people(mobile) == ["p-ann"]
    composite = {"compositeData": {"userData": {"userIdentifiers": [CEM]}, "ipData": [{"ipAddress": "203.0.113.9"}]}}
    status = google_twin.status(google_twin.ingest(vip, composite))
    counted = status["audienceMembersIngestionStatus"]["compositeDataIngestionStatus"]
    assert counted["dataTypeCounts"] == [{"type": "EMAIL", "count": "1"}]
    assert google_twin.people(vip) == ["p-cem"]


def test_a_lost_response_may_have_been_applied(google_twin: GoogleClient, vip: str) -> None:
    google_twin.configure(processing=0)
    body = {"error": {"code": 503, "message": "The service is currently unavailable.", "status": "UNAVAILABLE"}}
    google_twin.fault("accepted_then_error", ":ingest$", status=503, body=body)
    google_twin.fault("status", ":ingest$", status=504, body=body)
    assert google_twin.ingest(vip, [ANN]).json() == body
    assert google_twin.ingest(vip, [BOB]).status_code == 504
    assert google_twin.people(vip) == ["p-ann"]


def test_a_part_is_processed_and_the_rest_fails(google_twin: GoogleClient, vip: str) -> None:
    google_twin.configure(processing=0)
    google_twin.fault("partial", ":ingest$", rows=1)
    status = google_twin.status(google_twin.ingest(vip, [ANN], [BOB]))
    assert status["errorInfo"]["errorCounts"] == [
        {"recordCount": "1", "reason": "PROCESSING_ERROR_REASON_INTERNAL_ERROR"}
    ]
    assert google_twin.people(vip) == ["p-ann"]


def test_the_journal_holds_no_identifier(google_twin: GoogleClient, vip: str) -> None:
    google_twin.ingest(vip, [ANN])
    requests = google_twin.control("GET", "requests")
    assert requests["routes"]["POST /audienceMembers:ingest"] == 1
    assert ANN["emailAddress"] not in str(requests)
