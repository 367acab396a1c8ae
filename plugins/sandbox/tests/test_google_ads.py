"""The Google Ads API of the Google twin: searches, lists, uploads, and rows 35 to 38 of section 14 of google.md."""

import hashlib
from typing import Any

import pytest

from .conftest import GoogleClient

CUSTOMER = "v26/customers/1234567890"
CRM = {"uploadKeyType": "CONTACT_INFO", "dataSourceType": "FIRST_PARTY"}
GRANTED = {"adUserData": "GRANTED", "adPersonalization": "GRANTED"}


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


ANN, BOB = {"hashedEmail": sha("ann@example.com")}, {"hashedEmail": sha("bob@example.com")}


def code(answer: Any, status: int = 400) -> str:
    """The one code of a refusal as `group: CODE`."""
    body = answer.json()
    (error,) = body if isinstance(body, list) else [body]
    assert (answer.status_code, error["error"]["code"]) == (status, status), body
    assert answer.headers["request-id"]
    (found,) = error["error"]["details"][0]["errors"][0]["errorCode"].items()
    return ": ".join(found)


def search(google_twin: Any, query: str, **more: Any) -> Any:
    return google_twin.send("POST", f"{CUSTOMER}/googleAds:search", {"query": query} | more)


def mutate(google_twin: Any, *operations: Any, **more: Any) -> Any:
    return google_twin.send("POST", f"{CUSTOMER}/userLists:mutate", {"operations": operations} | more)


def create(**fields: Any) -> dict[str, Any]:
    return {"create": {"name": "VIP", "crmBasedUserList": CRM} | fields}


@pytest.fixture
def vip(google_twin: GoogleClient) -> str:
    google_twin.configure(legacy_uploads=True, processing=0)
    made = mutate(google_twin, create(membershipLifeSpan="540")).json()
    return str(made["results"][0]["resourceName"])


@pytest.fixture
def job(google_twin: GoogleClient, vip: str) -> str:
    metadata = {"userList": vip, "consent": GRANTED}
    body = {"job": {"type": "CUSTOMER_MATCH_USER_LIST", "customerMatchUserListMetadata": metadata}}
    answer = google_twin.send("POST", f"{CUSTOMER}/offlineUserDataJobs:create", body)
    return f"v26/{answer.json()['resourceName']}"


def add(google_twin: Any, job: Any, *operations: Any, **more: Any) -> Any:
    return google_twin.send("POST", f"{job}:addOperations", {"operations": operations} | more)


def run(google_twin: Any, job: Any) -> Any:
    return google_twin.send("POST", f"{job}:run", {})


def of(*identifiers: Any) -> dict[str, Any]:
    return {"create": {"userIdentifiers": identifiers}}


def held(google_twin: Any, vip: str) -> Any:
    return google_twin.people(vip.rpartition("/")[2])


def test_lists_are_those_of_the_data_manager_api(google_twin: GoogleClient) -> None:
    made = google_twin.create(integrationCode="segment:aud_42", membershipDuration=f"{30 * 86_400}s")
    query = (
        "SELECT user_list.id, user_list.integration_code, user_list.membership_life_span, user_list.size_for_search "
    )
    query += "FROM user_list WHERE user_list.type = 'CRM_BASED' AND user_list.membership_status IN ('OPEN', 'CLOSED')"
    (row,) = search(google_twin, query).json()["results"]
    name = f"customers/1234567890/userLists/{made}"
    wanted = {"resourceName": name, "id": made, "integrationCode": "segment:aud_42", "membershipLifeSpan": "30"}
    assert row == {"userList": wanted}
    google_twin.configure(processing=0, floor=2)
    google_twin.ingest(made, [{"emailAddress": ANN["hashedEmail"]}], [{"emailAddress": BOB["hashedEmail"]}])
    query = "SELECT user_list.size_for_search, user_list.size_range_for_display, user_list.match_rate_percentage "
    query += "FROM user_list"
    (row,) = search(google_twin, query).json()["results"]
    sizes = {"sizeForSearch": "2", "sizeRangeForDisplay": "LESS_THAN_FIVE_HUNDRED", "matchRatePercentage": 100}
    assert row["userList"] == {"resourceName": name} | sizes


def test_customers_and_their_clients(google_twin: GoogleClient) -> None:
    reached = google_twin.send("GET", "v26/customers:listAccessibleCustomers").json()["resourceNames"]
    assert reached == ["customers/1234567890", "customers/9998887777"]
    query = "SELECT customer.currency_code, customer.manager FROM customer LIMIT 1"
    (row,) = search(google_twin, query).json()["results"]
    assert row["customer"] == {"resourceName": "customers/1234567890", "currencyCode": "EUR", "manager": False}
    query = "SELECT customer_client.id FROM customer_client WHERE customer_client.level >= 1 "
    query += "ORDER BY customer_client.id DESC"
    rows = google_twin.send("POST", "v26/customers/9998887777/googleAds:search", {"query": query}).json()["results"]
    assert [row["customerClient"]["id"] for row in rows] == ["2223334444", "1234567890"]


def test_a_stream_is_an_array_of_chunks_and_its_errors_too(google_twin: GoogleClient) -> None:
    path, query = f"{CUSTOMER}/googleAds:searchStream", "SELECT conversion_action.name FROM conversion_action"
    (chunk,) = google_twin.send("POST", path, {"query": query}).json()
    assert (chunk["results"][0]["conversionAction"]["name"], chunk["fieldMask"]) == (
        "Purchase",
        "conversionAction.name",
    )
    assert isinstance(google_twin.send("POST", path, {"query": "SELECT"}).json(), list)


def test_metrics_are_stable_and_fall_on_days(google_twin: GoogleClient) -> None:
    query = "SELECT campaign.id, segments.date, metrics.impressions, metrics.conversions, metrics.cost_micros "
    query += "FROM campaign WHERE segments.date DURING LAST_7_DAYS AND campaign.name = 'Brand' ORDER BY segments.date"
    first, again = (search(google_twin, query).json() for _ in range(2))
    assert first == again
    days = [row["segments"]["date"] for row in first["results"]]
    assert (len(days), days) == (7, sorted(days))
    total = search(google_twin, query.replace("segments.date, ", "").replace(" ORDER BY segments.date", ""))
    shown = sum(int(row["metrics"]["impressions"]) for row in first["results"])
    assert shown == sum(int(row["metrics"]["impressions"]) for row in total.json()["results"])


def test_lists_are_made_changed_and_removed(google_twin: GoogleClient, vip: str) -> None:
    assert code(mutate(google_twin, create())) == "userListError: NAME_ALREADY_USED"
    assert code(mutate(google_twin, create(name="New", membershipLifeSpan="541"))) == "rangeError: TOO_HIGH"
    assert code(mutate(google_twin, create(name=""))) == "fieldError: REQUIRED"
    both = mutate(google_twin, create(), create(name="Other"), partialFailure=True).json()
    assert [bool(each) for each in both["results"]] == [False, True]
    (wrong,) = both["partialFailureError"]["details"][0]["errors"]
    assert wrong["location"]["fieldPathElements"][0] == {"fieldName": "operations", "index": 0}
    changed = {
        "update": {"resourceName": vip, "name": "New", "membershipLifeSpan": 30},
        "updateMask": "name,membershipLifeSpan",
    }
    assert mutate(google_twin, changed).json()["results"] == [{"resourceName": vip}]
    assert mutate(google_twin, create(), validateOnly=True).json() == {}
    mutate(google_twin, {"remove": vip})
    names = search(google_twin, "SELECT user_list.name FROM user_list").json()["results"]
    assert [row["userList"]["name"] for row in names] == ["Other"]


def test_row_35_upload_services_are_closed_to_newcomers(google_twin: GoogleClient) -> None:
    wanted = "notAllowlistedError: CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE"
    for call in ("/offlineUserDataJobs:create", ":uploadUserData", ":uploadClickConversions"):
        assert code(google_twin.send("POST", CUSTOMER + call, {}), 403) == wanted


@pytest.mark.parametrize("number", ["123-456-7890", "12345"])
def test_row_36_customer_id_that_is_none(google_twin: GoogleClient, number: str) -> None:
    answer = google_twin.send("POST", f"v26/customers/{number}/googleAds:search", {"query": "x"})
    assert code(answer) == "requestError: INVALID_CUSTOMER_ID"


def test_row_36_managed_account_without_login_customer(google_twin: GoogleClient) -> None:
    path, body = "v26/customers/2223334444/googleAds:search", {"query": "SELECT customer.id FROM customer"}
    assert code(google_twin.send("POST", path, body), 403) == "authorizationError: USER_PERMISSION_DENIED"
    wrong = {"login-customer-id": "5556667777"}
    assert (
        code(google_twin.send("POST", path, body, headers=wrong), 403) == "authorizationError: USER_PERMISSION_DENIED"
    )
    right = {"login-customer-id": "9998887777", "developer-token": "ignored"}
    assert google_twin.send("POST", path, body, headers=right).status_code == 200


def test_a_job_adds_and_the_next_removes(google_twin: GoogleClient, vip: str, job: str) -> None:
    assert add(google_twin, job, of(ANN), of(BOB)).json() == {}
    assert held(google_twin, vip) == []
    assert run(google_twin, job).json()["name"]
    assert held(google_twin, vip) == ["p-ann", "p-bob"]
    query = "SELECT offline_user_data_job.status FROM offline_user_data_job WHERE offline_user_data_job.id = "
    (row,) = search(google_twin, query + job.rpartition("/")[2]).json()["results"]
    assert row["offlineUserDataJob"]["status"] == "SUCCESS"
    metadata = {"userList": vip}
    body = {"operations": [{"remove": {"userIdentifiers": [ANN]}}], "customerMatchUserListMetadata": metadata}
    assert google_twin.send("POST", f"{CUSTOMER}:uploadUserData", body).json()["receivedOperationsCount"] == 1
    assert held(google_twin, vip) == ["p-bob"]


def test_row_37_operations_of_a_job(google_twin: GoogleClient, job: str) -> None:
    remove, every, group = {"remove": {"userIdentifiers": [ANN]}}, {"removeAll": True}, "offlineUserDataJobError: "
    assert code(add(google_twin, job, of(ANN), remove)) == group + "CONFLICTING_OPERATION"
    assert code(add(google_twin, job, of(ANN), every)) == group + "INVALID_OPERATION_ORDER"
    assert code(add(google_twin, job, of(*[ANN] * 21))) == group + "TOO_MANY_USER_IDENTIFIERS"
    assert code(add(google_twin, job, *[of(*[ANN] * 20)] * 5_001)) == group + "TOO_MANY_USER_IDENTIFIERS"
    bad = add(google_twin, job, of({"hashedEmail": "ann@example.com"}))
    assert code(bad) == group + "INVALID_SHA256_FORMAT"
    elements = bad.json()["error"]["details"][0]["errors"][0]["location"]["fieldPathElements"]
    assert [each["fieldName"] for each in elements] == ["operations", "create", "user_identifiers", "hashed_email"]
    half = add(google_twin, job, every, of(ANN), of({"hashedEmail": "x"}), enablePartialFailure=True)
    assert (half.status_code, half.json()["partialFailureError"]["code"]) == (200, 3)
    run(google_twin, job)
    assert code(add(google_twin, job, of(ANN))) == group + "JOB_ALREADY_STARTED"


def test_row_37_parallel_writes_to_one_list(google_twin: GoogleClient, vip: str, job: str) -> None:
    google_twin.configure(processing=1_800)
    add(google_twin, job, of(ANN))
    run(google_twin, job)
    metadata = {"userList": vip}
    body = {"job": {"type": "CUSTOMER_MATCH_USER_LIST", "customerMatchUserListMetadata": metadata}}
    other = google_twin.send("POST", f"{CUSTOMER}/offlineUserDataJobs:create", body).json()["resourceName"]
    assert code(run(google_twin, f"v26/{other}")) == "databaseError: CONCURRENT_MODIFICATION"
    google_twin.advance(1_800)
    assert run(google_twin, f"v26/{other}").status_code == 200


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("SELECT metrics.video_views FROM campaign", "queryError: UNRECOGNIZED_FIELD"),
        ("SELECT campaign.id, segments.date FROM campaign", "queryError: EXPECTED_FILTERS_ON_DATE_RANGE"),
        (
            "SELECT segments.date FROM campaign WHERE segments.date >= '2026-11-01'",
            "queryError: EXPECTED_FILTERS_ON_DATE_RANGE",
        ),
        (
            "SELECT segments.date FROM campaign WHERE segments.date BETWEEN '2020-01-01' AND '2020-02-01'",
            "dateRangeError: REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED",
        ),
        (
            "SELECT campaign.id FROM campaign WHERE segments.date DURING LAST_YEAR",
            "queryError: INVALID_VALUE_WITH_DURING_OPERATOR",
        ),
        ("SELECT campaign.id FROM campaigns", "queryError: BAD_RESOURCE_TYPE_IN_FROM_CLAUSE"),
        ("SELECT campaign.id FROM campaign WHERE campaign.id ~ 1", "queryError: UNEXPECTED_INPUT"),
        ("SELECT campaign.id FROM campaign WHERE campaign.id = 1 AND ", "queryError: UNEXPECTED_INPUT"),
        ("DELETE everything", "queryError: EXPECTED_SELECT"),
    ],
)
def test_row_38_queries(google_twin: GoogleClient, query: str, wanted: str) -> None:
    assert code(search(google_twin, query)) == wanted


def test_row_38_page_size_managers_and_versions(google_twin: GoogleClient) -> None:
    query = "SELECT campaign.id, metrics.clicks FROM campaign"
    assert code(search(google_twin, query, pageSize=10)) == "requestError: PAGE_SIZE_NOT_SUPPORTED"
    assert code(search(google_twin, query, pageToken="x")) == "requestError: INVALID_PAGE_TOKEN"
    path = "customers/9998887777/googleAds:search"
    assert (
        code(google_twin.send("POST", f"v26/{path}", {"query": query})) == "queryError: REQUESTED_METRICS_FOR_MANAGER"
    )
    assert code(google_twin.send("POST", f"v22/{path}", {"query": query})) == "requestError: UNSUPPORTED_VERSION"
    assert google_twin.send("POST", f"v23/{path}", {"query": "SELECT customer.id FROM customer"}).status_code == 200


def test_unknown_fields_and_missing_scope_are_refused(google_twin: GoogleClient, vip: str) -> None:
    answer = search(google_twin, "SELECT customer.id FROM customer", colour="red")
    assert answer.json()["error"]["message"].startswith('Invalid JSON payload received. Unknown name "colour"')
    scopes = ["https://www.googleapis.com/auth/datamanager"]
    google_twin.configure(tokens={"narrow": {"user": "owner@sandbox.example", "scopes": scopes}})
    assert google_twin.send("GET", "v26/customers:listAccessibleCustomers", token="narrow").status_code == 403


def test_click_conversions(google_twin: GoogleClient, vip: str) -> None:
    good: dict[str, Any] = {
        "conversionAction": "customers/1234567890/conversionActions/7631611119",
        "gclid": "Cj0",
        "orderId": "o-1",
    }
    good |= {"conversionDateTime": "2026-11-20 17:18:44+00:00", "conversionValue": 49.95, "currencyCode": "EUR"}
    late = good | {"conversionDateTime": "2026-11-20T17:18:44Z"}
    body = {"conversions": [good, late], "partialFailure": True}
    answer = google_twin.send("POST", f"{CUSTOMER}:uploadClickConversions", body)
    assert [bool(each) for each in answer.json()["results"]] == [True, False]
    assert [each["transaction_id"] for each in google_twin.lines("events")] == ["o-1"]
    wanted = "partialFailureError: PARTIAL_FAILURE_MODE_REQUIRED"
    assert code(google_twin.send("POST", f"{CUSTOMER}:uploadClickConversions", {"conversions": [good]})) == wanted
