"""Every row of 'What a strict sandbox must reject' (segment.md section 11) that concerns a server, by its number."""

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sandbox.people import Population, generate
from sandbox.segment import create_app

KEY = "sandbox-write-key"
AUDIENCES = "/spaces/spa_7kQ2/audiences"
PREVIEW = {"audienceType": "USERS", "definition": {"query": "profile_exists()"}}


class Twin:
    """Plain requests to the twin with its default credentials, or others."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()

    def papi(self, method: str, path: str, token: str | None = "sandbox-papi-token", **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.http.request(method, self.url + path, headers=headers, **more)

    def profile(self, path: str, auth: Any = ("sandbox-profile-token", ""), **query: Any) -> requests.Response:
        url = f"{self.url}/v1/spaces/spa_7kQ2/collections/users/profiles/{path}"
        return self.http.get(url, auth=auth, params=query)

    def track(self, kind: str = "batch", key: str = KEY, headers: Any = None, **body: Any) -> requests.Response:
        return self.http.post(f"{self.url}/v1/{kind}", json={"writeKey": key} | body, headers=headers)

    def batch(self, *messages: dict[str, Any], key: str = KEY) -> requests.Response:
        return self.track(batch=list(messages), key=key)

    def control(self, path: str, **body: Any) -> Any:
        answer = self.http.post(f"{self.url}/_twin/{path}", json=body)
        assert answer.ok, answer.text
        return answer.json()

    def reasons(self) -> list[str | None]:
        lines = self.http.get(f"{self.url}/_twin/tracking").text.splitlines()
        return [json.loads(line)["reason"] for line in lines]


@pytest.fixture(scope="module")
def population() -> Population:
    return generate(200, 3)


@pytest.fixture
def twin(serve: Callable[[Any], str], population: Population) -> Iterator[Twin]:
    client = Twin(serve(create_app(population)))
    client.control("clock", set="2026-03-10T12:00:00Z")
    yield client
    client.http.close()


def event(**more: Any) -> dict[str, Any]:
    return {"type": "track", "userId": "u-1", "event": "Ad Clicked", "messageId": str(uuid.uuid4())} | more


def error(answer: requests.Response) -> dict[str, Any]:
    errors = answer.json()["errors"]
    assert len(errors) == 1
    return dict(errors[0])


def silent(answer: requests.Response) -> bool:
    return answer.status_code == 200 and answer.json() == {"success": True}


@pytest.mark.parametrize("token", [None, "wrong"])
def test_row_01_public_api_needs_the_workspace_token(twin: Twin, token: str | None) -> None:
    answer = twin.papi("GET", "/", token)
    assert (answer.status_code, error(answer)["type"]) == (401, "unauthorized")
    assert twin.papi("GET", "/").status_code == 200


@pytest.mark.parametrize("token", ["sandbox-profile-token", KEY])
def test_row_02_other_credentials_are_not_interchangeable(twin: Twin, token: str) -> None:
    assert twin.papi("GET", "/spaces?pagination.count=1", token).status_code == 401


def test_row_03_a_token_of_the_other_region_is_refused(twin: Twin) -> None:
    assert twin.papi("GET", "/", "sandbox-papi-token-eu").status_code == 401
    twin.control("config", region="eu")
    assert twin.papi("GET", "/", "sandbox-papi-token-eu").status_code == 200
    assert twin.papi("GET", "/").status_code == 401


@pytest.mark.parametrize("count", ["0", "201", "ten", "1.5", "-1"])
@pytest.mark.parametrize("spelling", ["pagination.count", "pagination[count]"])
def test_row_04_count_of_list_audiences_is_1_to_200(twin: Twin, spelling: str, count: str) -> None:
    answer = twin.papi("GET", AUDIENCES, params={spelling: count})
    assert answer.status_code == 422
    assert (error(answer)["type"], error(answer)["field"]) == ("input-validation", "pagination.count")
    assert twin.papi("GET", AUDIENCES, params={spelling: "200"}).status_code == 200


@pytest.mark.parametrize("path", [AUDIENCES, "/spaces", "/suppressions", "/spaces/spa_7kQ2/computed-traits"])
def test_row_05_pagination_is_required(twin: Twin, path: str) -> None:
    answer = twin.papi("GET", path)
    assert (answer.status_code, error(answer)["message"]) == (422, '"pagination" is required')


@pytest.mark.parametrize("query", [{"pagination": '{"count":1}'}, {"pagination.size": "1"}])
def test_row_05_other_spellings_are_refused(twin: Twin, query: dict[str, str]) -> None:
    assert twin.papi("GET", AUDIENCES, params=query).status_code == 422


@pytest.mark.parametrize("cursor", ["garbage!", "aGVsbG8=", "OTk5OTk="])
def test_row_06_a_garbage_cursor_is_refused(twin: Twin, cursor: str) -> None:
    assert twin.papi("GET", AUDIENCES, params={"pagination.count": 1, "pagination.cursor": cursor}).status_code == 422


@pytest.mark.parametrize(
    "path", ["/spaces/spa_no", "/spaces/spa_no/audiences/aud_31TbQ", f"{AUDIENCES}/aud_no", "/nowhere"]
)
def test_row_07_unknown_ids_are_not_found(twin: Twin, path: str) -> None:
    answer = twin.papi("GET", path)
    assert (answer.status_code, error(answer)["type"]) == (404, "not-found")


def test_row_08_an_id_has_at_most_255_characters(twin: Twin) -> None:
    assert twin.papi("GET", f"{AUDIENCES}/{'a' * 256}").status_code == 422
    assert twin.papi("GET", f"{AUDIENCES}/{'a' * 255}").status_code == 404


def test_row_09_search_is_checked(twin: Twin) -> None:
    def search(kind: str, query: str) -> requests.Response:
        return twin.papi("GET", AUDIENCES, params={"pagination.count": 9, "search.type": kind, "search.query": query})

    assert search("KEY", "x" * 256).status_code == 422
    assert search("ID", "x").status_code == 422
    found = {kind: [a["key"] for a in search(kind, "cart").json()["data"]["audiences"]] for kind in ("KEY", "NAME")}
    assert found == {"KEY": ["cart_abandoners_7d"], "NAME": ["cart_abandoners_7d"]}
    assert search("KEY", "abandoners").json()["data"]["audiences"] == []


def test_row_10_only_linked_audiences_can_be_forced_to_run(twin: Twin) -> None:
    assert twin.papi("POST", f"{AUDIENCES}/aud_31TbQ/runs").status_code == 422
    assert twin.papi("POST", f"{AUDIENCES}/aud_31Lnk/runs").status_code == 200


def test_row_11_the_61st_list_of_audiences_in_a_minute_is_too_many(twin: Twin) -> None:
    answers = [twin.papi("GET", AUDIENCES, params={"pagination.count": 1}) for _ in range(61)]
    assert [answer.status_code for answer in answers] == [200] * 60 + [429]
    assert answers[59].headers["X-RateLimit-Remaining"] == "0"
    assert error(answers[60])["type"] == "RequestError"
    assert error(answers[60])["data"] == {"remainingPoints": 0, "msBeforeNext": 60_000, "consumedPoints": 61}
    assert answers[60].headers["Retry-After"] == "60"
    assert parsedate_to_datetime(answers[60].headers["X-RateLimit-Reset"]).minute == 1
    twin.control("clock", advance=60)
    assert twin.papi("GET", AUDIENCES, params={"pagination.count": 1}).status_code == 200


def test_row_12_previews_are_5_a_minute(twin: Twin) -> None:
    statuses = [twin.papi("POST", f"{AUDIENCES}/previews", json=PREVIEW).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]


def test_row_12_previews_are_700_a_month(twin: Twin) -> None:
    statuses = []
    for number in range(701):
        statuses.append(twin.papi("POST", f"{AUDIENCES}/previews", json=PREVIEW).status_code)
        if number % 5 == 4:
            twin.control("clock", advance=60)
    assert statuses == [200] * 700 + [429]
    twin.control("clock", set="2026-04-01T00:00:01Z")
    assert twin.papi("POST", f"{AUDIENCES}/previews", json=PREVIEW).status_code == 200


@pytest.mark.parametrize(
    "broken",
    [
        {"subjectIds": [f"u-{number}" for number in range(5001)]},
        {"subjectIds": []},
        {"regulationType": "FORGET"},
        {"subjectType": "ANONYMOUS_ID"},
        {"subjectType": "EMAIL"},
    ],
)
def test_row_13_a_malformed_regulation_is_refused(twin: Twin, broken: dict[str, Any]) -> None:
    regulation = {"regulationType": "SUPPRESS_ONLY", "subjectType": "USER_ID", "subjectIds": ["u-1"]}
    assert twin.papi("POST", "/regulations", json=regulation | broken).status_code == 422
    assert twin.papi("POST", "/regulations", json=regulation).status_code == 200


def test_row_14_a_regulation_older_than_90_days_is_gone(twin: Twin) -> None:
    regulation = {"regulationType": "DELETE_ONLY", "subjectType": "USER_ID", "subjectIds": ["u-1"]}
    path = "/regulations/" + twin.papi("POST", "/regulations", json=regulation).json()["data"]["regulateId"]
    twin.control("clock", advance=89 * 86_400)
    assert twin.papi("GET", path).json()["data"]["regulation"]["overallStatus"] == "FINISHED"
    twin.control("clock", advance=2 * 86_400)
    assert twin.papi("GET", path).status_code == 404
    assert twin.papi("GET", "/regulations?pagination.count=9").json()["data"]["regulations"] == []


def test_row_15_profile_api_takes_the_token_as_basic_username_only(twin: Twin) -> None:
    url = f"{twin.url}/v1/spaces/spa_7kQ2/collections/users/profiles/user_id:u-100001/traits"
    answers = [
        twin.http.get(url, headers={"Authorization": "Bearer sandbox-profile-token"}),
        twin.profile("user_id:u-100001/traits", ("", "sandbox-profile-token")),
        twin.profile("user_id:u-100001/traits", ("sandbox-papi-token", "")),
    ]
    assert [(a.status_code, a.json()["error"]["code"]) for a in answers] == [(401, "authentication_error")] * 3
    assert all(answer.headers["Request-Id"] for answer in answers)
    assert twin.profile("user_id:u-100001/traits").status_code == 200


@pytest.mark.parametrize("name", ["u-100001", "user_id:u-nobody", "user_id:U-100001"])
def test_row_16_a_profile_needs_a_type_and_a_lower_case_id(twin: Twin, name: str) -> None:
    answer = twin.profile(f"{name}/traits")
    assert answer.status_code == 404
    assert answer.json() == {"error": {"code": "not_found", "message": "Profile was not found."}}


def test_row_16_dirty_emails_are_found_in_lower_case_only(twin: Twin, population: Population) -> None:
    raw = next(e.raw for person in population for e in person.emails if e.form == "mixed_case")
    statuses = [twin.profile(f"email:{quote(name, safe='')}/traits").status_code for name in (raw.lower(), raw)]
    assert statuses == [200, 404]


@pytest.mark.parametrize("name", ["phone:+491701234567", "email:ann@example.com", "email:a'b"])
def test_row_17_unencoded_characters_end_in_a_server_error(twin: Twin, name: str) -> None:
    answer = twin.profile(f"{name}/traits")
    assert answer.status_code == 500
    assert "error" in answer.json()


@pytest.mark.parametrize(
    ("resource", "query"),
    [("traits", {"limit": 201}), ("external_ids", {"limit": 26}), ("links", {"limit": 21}), ("traits", {"class": "x"})],
)
def test_row_18_profile_parameters_are_checked(twin: Twin, resource: str, query: dict[str, Any]) -> None:
    answer = twin.profile(f"user_id:u-100001/{resource}", **query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "validation_error")


def test_row_18_the_collection_is_checked(twin: Twin) -> None:
    url = f"{twin.url}/v1/spaces/spa_7kQ2/collections/things/profiles/user_id:u-100001/traits"
    assert twin.http.get(url, auth=("sandbox-profile-token", "")).status_code == 400


def test_row_19_events_are_those_of_the_last_14_days(twin: Twin) -> None:
    twin.batch(event(userId="u-100001", event="Old"))
    twin.control("clock", advance=10 * 86_400)
    twin.batch(event(userId="u-100001", event="New"))
    assert [e["event"] for e in twin.profile("user_id:u-100001/events").json()["data"]] == ["New", "Old"]
    twin.control("clock", advance=5 * 86_400)
    answer = twin.profile("user_id:u-100001/events", start="2026-01-01T00:00:00Z")
    assert [found["event"] for found in answer.json()["data"]] == ["New"]


def test_row_20_the_101st_profile_request_in_a_second_is_too_many(twin: Twin) -> None:
    answers = [twin.profile("user_id:u-100001/links") for _ in range(101)]
    assert [answer.status_code for answer in answers] == [200] * 100 + [429]
    assert answers[100].json()["error"]["code"] == "rate_limit_error"
    twin.control("clock", advance=1)
    assert twin.profile("user_id:u-100001/links").status_code == 200


@pytest.mark.parametrize(
    ("body", "kind"), [("{", "application/json"), ("{}", "text/plain"), ("[]", "application/json")]
)
def test_row_21_tracking_takes_json_objects_only(twin: Twin, body: str, kind: str) -> None:
    answer = twin.http.post(f"{twin.url}/v1/batch", data=body, headers={"Content-Type": kind})
    assert answer.status_code == 400


def test_row_22_a_message_has_at_most_32768_bytes(twin: Twin) -> None:
    answer = twin.track("track", **event(properties={"text": "x" * 32_768}))
    assert (answer.status_code, answer.json()["message"]) == (400, "Exceed payload limit")


def test_row_23_a_batch_has_at_most_500000_bytes(twin: Twin) -> None:
    assert twin.batch(*(event(properties={"text": "x" * 25_000}) for _ in range(20))).status_code == 400
    assert twin.batch(*(event(properties={"text": "x" * 24_000}) for _ in range(20))).status_code == 200


def test_row_24_an_empty_write_key_is_refused(twin: Twin) -> None:
    assert twin.batch(event(), key="").status_code == 400


def test_row_24_the_write_key_may_come_by_basic_auth(twin: Twin) -> None:
    answer = twin.http.post(f"{twin.url}/v1/track", json=event(), auth=(KEY, ""))
    assert (silent(answer), twin.reasons()) == (True, [None])


def test_row_25_an_unknown_key_or_the_wrong_region_is_silent(twin: Twin) -> None:
    assert silent(twin.batch(event(), key="nobody"))
    assert silent(twin.batch(event(), key="sandbox-write-key-eu"))
    twin.control("config", region="eu")
    assert silent(twin.batch(event()))
    assert silent(twin.batch(event(), key="sandbox-write-key-eu"))
    assert twin.reasons() == ["unknown_write_key", "wrong_region", "wrong_region", None]


def test_row_26_more_than_2500_messages_are_silent(twin: Twin) -> None:
    small = [{"type": "track", "userId": "u", "event": "e", "messageId": f"m{number}"} for number in range(2501)]
    assert silent(twin.batch(*small))
    assert set(twin.reasons()) == {"too_many_messages"}


def test_row_27_a_33_kb_message_refuses_its_small_batch(twin: Twin) -> None:
    assert twin.batch(event(), event(properties={"text": "x" * 33_000})).status_code == 400
    assert twin.reasons() == []


def test_row_28_a_message_of_nobody_is_refused_or_dropped(twin: Twin) -> None:
    nobody = event()
    del nobody["userId"]
    answer = twin.batch(nobody)
    assert (answer.status_code, answer.json()["code"]) == (400, "no_user_anon_id")
    twin.control("config", missing_id="drop")
    assert silent(twin.batch(nobody))
    assert twin.reasons() == ["no_user_anon_id"]


def test_row_29_missing_event_or_type_is_silent(twin: Twin) -> None:
    assert silent(twin.batch(event(event=None), event(type=None), event(type="click")))
    assert twin.reasons() == ["missing_field", "unknown_type", "unknown_type"]


def test_row_30_a_message_id_counts_once_in_24_hours_over_all_sources(twin: Twin) -> None:
    again = event()
    assert all(silent(twin.batch(again, key=key)) for key in (KEY, KEY, "sandbox-write-key-2"))
    twin.control("clock", advance=86_401)
    assert silent(twin.batch(again))
    assert twin.reasons() == [None, "duplicate_message_id", "duplicate_message_id", None]


def test_row_31_long_ids_and_many_properties_are_silent(twin: Twin) -> None:
    many = {f"p{number}": 1 for number in range(301)}
    assert silent(twin.batch(event(messageId="x" * 100), event(messageId="x" * 99), event(properties=many)))
    assert twin.reasons() == ["message_id_too_long", None, "too_many_properties"]


def test_row_32_events_of_a_suppressed_user_are_silent(twin: Twin) -> None:
    regulation = {"regulationType": "SUPPRESS_ONLY", "subjectType": "USER_ID", "subjectIds": ["u-1"]}
    twin.papi("POST", "/regulations", json=regulation)
    assert silent(twin.batch(event()))
    twin.papi("POST", "/regulations", json=regulation | {"regulationType": "UNSUPPRESS"})
    assert silent(twin.batch(event()))
    assert twin.reasons() == ["suppressed_user", None]


def test_row_33_a_time_without_zone_is_accepted_but_not_stored(twin: Twin) -> None:
    traits = {"seen_at": "2026-03-01T10:00:00", "met_at": "2026-03-01T10:00:00Z"}
    assert silent(twin.track("identify", anonymousId="fresh-1", traits=traits))
    stored = twin.profile("anonymous_id:fresh-1/traits").json()["traits"]
    assert stored == {"met_at": "2026-03-01T10:00:00Z"}


class Assertions:
    """Signs client assertions with a registered RSA key, or breaks them."""

    def __init__(self, twin: Twin) -> None:
        self.twin = twin
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        twin.control("oauth/apps", client_id="app-1", key_id="key-1", public_key=pem.decode())
        self.now = int(datetime.fromisoformat(twin.control("clock")["now"]).timestamp())

    def ask(self, kid: str = "key-1", algorithm: str = "RS256", **claims: Any) -> requests.Response:
        body = {"sub": "app-1", "aud": self.twin.url, "iat": self.now, "exp": self.now + 55, "jti": str(uuid.uuid4())}
        key: Any = self.key if algorithm == "RS256" else "s" * 32
        assertion = jwt.encode(body | claims, key, algorithm, headers={"kid": kid})
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
            "scope": "tracking_api:write",
        }
        return self.twin.http.post(f"{self.twin.url}/token", data=form)


def test_row_34_a_broken_client_assertion_is_refused(twin: Twin) -> None:
    assertions = Assertions(twin)
    now = assertions.now
    assert assertions.ask(jti="once").json()["token_type"] == "Bearer"
    refused = {
        "algorithm": assertions.ask(algorithm="HS256"),
        "kid": assertions.ask(kid="key-2"),
        "life": assertions.ask(exp=now + 61),
        "jti": assertions.ask(jti="once"),
        "aud": assertions.ask(aud="https://elsewhere.example.com"),
    }
    assert {name: (a.status_code, a.json()["error"]) for name, a in refused.items()} == dict.fromkeys(
        refused, (401, "invalid_client")
    )
    expired, early = assertions.ask(exp=now - 1), assertions.ask(iat=now + 30)
    assert expired.json() == {"error": "invalid_request", "error_description": "Token is expired"}
    assert early.json() == {"error": "invalid_request", "error_description": "Token used before issued"}
    assert parsedate_to_datetime(expired.headers["Date"]).timestamp() == now


def test_row_34_a_key_of_somebody_else_is_refused(twin: Twin) -> None:
    assertions = Assertions(twin)
    assertions.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert (assertions.ask().status_code, assertions.ask().json()["error"]) == (401, "invalid_client")


def test_row_35_a_source_with_oauth_enforced_wants_a_living_token(twin: Twin) -> None:
    twin.control("config", enforce_oauth=True)
    bearer = {"Authorization": "Bearer " + Assertions(twin).ask().json()["access_token"]}
    assert twin.http.post(f"{twin.url}/v1/track", json=event(), auth=(KEY, "")).status_code == 401
    assert silent(twin.track(batch=[event()], headers=bearer))
    assert twin.track(batch=[event()], headers={"Authorization": "Bearer made-up"}).status_code == 401
    twin.control("clock", advance=86_401)
    assert twin.track(batch=[event()], headers=bearer).status_code == 401
    assert twin.reasons() == [None]
