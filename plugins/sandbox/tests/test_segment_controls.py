"""The ground truth of the Segment twin agrees with the population, moves with a churn and names nobody."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import requests
from sandbox import warehouse
from sandbox.churn import Churn
from sandbox.people import Population, generate
from sandbox.segment import create_app


@pytest.fixture(scope="module")
def population() -> Population:
    return generate(600, 9)


@pytest.fixture
def url(serve: Callable[[Any], str], population: Population) -> str:
    return serve(create_app(population))


def lines(url: str) -> list[Any]:
    return [json.loads(line) for line in requests.get(url).text.splitlines()]


def test_people_and_members_are_the_population(url: str, population: Population) -> None:
    told = lines(f"{url}/_twin/people")
    assert [row["person_id"] for row in told] == [person.person_id for person in population]
    assert [set(row["identifiable_by"]) for row in told] == [set(person.identifiable_by) for person in population]
    members = lines(f"{url}/_twin/audiences/vip_eu/members")
    assert members == [row["person_id"] for row in told if "vip_eu" in row["audiences"]]
    assert len(lines(f"{url}/_twin/suppressed")) == len(population.suppressed)


def test_no_control_answers_with_a_personal_value(url: str, population: Population) -> None:
    person = next(person for person in population if person.emails and person.phones and person.emails[0].recoverable)
    secret = {"email": person.emails[0].raw, "phone": person.phones[0].true}
    message = {"userId": person.user_id, "anonymousId": person.anonymous_id, "event": "E", "properties": secret}
    requests.post(f"{url}/v1/track", json={"writeKey": "sandbox-write-key"} | message).raise_for_status()
    requests.post(f"{url}/v1/identify", json={"writeKey": "sandbox-write-key"} | message | {"traits": secret})
    pages = ["people", "suppressed", "tracking", "requests", "config", "audiences/everyone/members"]
    text = "".join(requests.get(f"{url}/_twin/{page}").text for page in pages).lower()
    for someone in population:
        for entry in (*someone.emails, *someone.phones, *someone.mobile_ids):
            assert entry.true not in text
            assert len(entry.raw.strip()) < 8 or entry.raw.lower() not in text


def test_a_churn_moves_population_warehouse_and_the_listener(
    serve: Callable[[Any], str], population: Population, tmp_path: Path
) -> None:
    place = f"duckdb:///{tmp_path / 'w.duckdb'}"
    warehouse.seed(place, population)
    heard: list[Churn] = []
    url = serve(create_app(population, place, heard.append))
    summary = requests.post(f"{url}/_twin/churn", json={"fraction": 0.05, "seed": 7}).json()
    assert summary == heard[0].summary() | {"people": len(heard[0].population)}
    members = {row["canonical_segment_id"] for row in lines(f"{url}/_twin/people") if "vip_eu" in row["audiences"]}
    query = "SELECT canonical_segment_id FROM prod.user_traits WHERE name = 'vip_eu' AND value = 'true'"
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as database:
        assert {segment_id for (segment_id,) in database.execute(query).fetchall()} == members
    gone = next(iter(heard[0].gone.values()))
    path = f"{url}/v1/spaces/spa_7kQ2/collections/users/profiles/anonymous_id:{gone.anonymous_id}/traits"
    assert requests.get(path, auth=("sandbox-profile-token", "")).status_code == 404


def test_a_churn_waits_for_a_warehouse_in_use(
    serve: Callable[[Any], str], population: Population, tmp_path: Path
) -> None:
    place = f"duckdb:///{tmp_path / 'w.duckdb'}"
    warehouse.seed(place, population)
    url = serve(create_app(population, place))
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True):
        refused = requests.post(f"{url}/_twin/churn", json={})
    assert (refused.status_code, "warehouse" in refused.json()["error"]) == (409, True)
    assert len(lines(f"{url}/_twin/people")) == len(population)
    assert requests.post(f"{url}/_twin/churn", json={}).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("churn", {"part": 1}),
        ("config", {"region": "mars"}),
        ("clock", {"advance": "long"}),
        ("send", {}),
        ("nothing", {}),
    ],
)
def test_a_control_that_is_not_understood_says_so(url: str, path: str, body: dict[str, Any]) -> None:
    answer = requests.post(f"{url}/_twin/{path}", json=body)
    assert answer.status_code in {400, 404}
    assert answer.json()["error"]


def test_profile_flags_follow_traits_and_pages(url: str, population: Population) -> None:
    person = next(person for person in population if len(person.traits) > 10 and person.user_id)
    base = f"{url}/v1/spaces/spa_7kQ2/collections/users/profiles/user_id:{person.user_id}"
    auth = ("sandbox-profile-token", "")
    first = requests.get(f"{base}/traits", auth=auth).json()
    flags = requests.get(f"{base}/traits", auth=auth, params={"class": "audience"}).json()["traits"]
    assert len(first["traits"]) == 10
    assert not set(first["traits"]) & set(flags)
    assert flags == person.memberships
    rest = requests.get(f"{base}/traits", auth=auth, params={"limit": 200, "next": first["cursor"]["next"]}).json()
    assert first["traits"] | rest["traits"] == person.traits | flags
    ids = requests.get(f"{base}/external_ids", auth=auth).json()["data"]
    assert [(each["type"], each["id"]) for each in ids] == list(person.identifiers())


def test_audiences_name_size_kind_and_key(url: str, population: Population) -> None:
    answer = requests.get(
        f"{url}/spaces/spa_7kQ2/audiences?pagination.count=200&include=schedules",
        headers={"Authorization": "Bearer sandbox-papi-token", "Accept": "application/vnd.segment.v1+json"},
    )
    assert answer.headers["Content-Type"].startswith("application/vnd.segment.v1+json")
    found = {audience["key"]: audience for audience in answer.json()["data"]["audiences"]}
    assert found["everyone"]["size"] == {"count": len(population), "type": "USERS", "uniqueCount": len(population)}
    assert {audience["audienceType"] for audience in found.values()} == {"USERS", "ACCOUNTS", "LINKED"}
    assert [key for key, audience in found.items() if not audience["enabled"]] == ["winter_sale_2025"]


def test_a_webhook_is_attached_and_cannot_be_cut_off_while_active(url: str) -> None:
    path = f"{url}/spaces/spa_7kQ2/audiences/aud_31TbQ/destination-connections"
    headers = {"Authorization": "Bearer sandbox-papi-token"}
    made = requests.post(path, json={"destination": {"id": "d-1", "type": "destination"}}, headers=headers).json()
    connection = f"{path}/{made['data']['connection']['id']}"
    wanted = {"activationType": "Audience Entered", "activationName": "Hook", "performResync": True}
    activation = requests.post(f"{connection}/activations", json=wanted, headers=headers).json()["data"]["activation"]
    assert requests.delete(connection, headers=headers).status_code == 409
    one = f"{url}/spaces/spa_7kQ2/audiences/aud_31TbQ/activations/{activation['id']}"
    assert requests.delete(one, headers=headers).status_code == 200
    assert requests.delete(connection, headers=headers).status_code == 200


def test_a_preview_runs_then_gives_size_and_sample(url: str, population: Population) -> None:
    path = f"{url}/spaces/spa_7kQ2/audiences/previews"
    headers = {"Authorization": "Bearer sandbox-papi-token"}
    ask = {"audienceType": "USERS", "definition": {"query": "profile_exists()"}}
    preview = requests.post(path, json=ask, headers=headers).json()["data"]["audiencePreview"]
    assert preview["status"] == "RUNNING"
    requests.post(f"{url}/_twin/clock", json={"advance": 5}).raise_for_status()
    done = requests.get(f"{path}/{preview['id']}", headers=headers).json()["data"]["audiencePreview"]
    assert (done["status"], done["size"]["count"], len(done["results"])) == ("COMPLETED", len(population), 10)
