"""The unmodified segment-analytics-python client works against the twin, with a write key and with OAuth."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sandbox import people
from sandbox.segment import create_app
from segment.analytics.client import Client


@pytest.fixture
def twin_url(serve: Callable[[Any], str]) -> str:
    return serve(create_app(people.generate(50, 3)))


@pytest.fixture
def failures() -> list[Exception]:
    return []


class MakeClient(Protocol):
    """A client of Segment's own SDK."""

    def __call__(self, **options: Any) -> Client: ...


@pytest.fixture
def client(twin_url: str, failures: list[Exception]) -> Iterator[MakeClient]:
    made: list[Client] = []

    def make(**options: Any) -> Client:
        made.append(Client("sandbox-write-key", host=twin_url, on_error=note, upload_interval=0.05, **options))
        return made[-1]

    def note(error: Exception, _: Any) -> None:
        failures.append(error)

    yield make
    for each in made:
        each.join()


def tracked(url: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in requests.get(f"{url}/_twin/tracking").text.splitlines()]


def test_the_python_client_tracks_identifies_and_groups(
    twin_url: str, client: MakeClient, failures: list[Exception]
) -> None:
    analytics = client(gzip=True)
    for number in range(250):
        analytics.track("u-100001", "Ad Clicked", {"platform": "meta", "ad_id": str(number)}, message_id=f"m-{number}")
    analytics.identify("u-100001", {"plan": "pro"})
    analytics.group("u-100001", "g-1")
    analytics.alias("u-9", "u-100001")
    analytics.flush()
    stored = [row for row in tracked(twin_url) if row["stored"]]
    assert not failures
    assert {row["properties"]["ad_id"] for row in stored if row["type"] == "track"} == {str(n) for n in range(250)}
    assert sorted(row["type"] for row in stored if row["type"] != "track") == ["alias", "group", "identify"]


def test_the_python_client_gets_its_token_from_the_oauth_server(
    twin_url: str, client: MakeClient, failures: list[Exception]
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    app = {"client_id": "app-1", "key_id": "key-1", "public_key": public.decode()}
    requests.post(f"{twin_url}/_twin/oauth/apps", json=app).raise_for_status()
    requests.post(f"{twin_url}/_twin/config", json={"enforce_oauth": True}).raise_for_status()
    with_key_only = client()
    with_key_only.track("u-100001", "Refused", message_id="m-basic")
    with_key_only.flush()
    analytics = client(
        oauth_client_id="app-1", oauth_client_key=private.decode(), oauth_key_id="key-1", oauth_auth_server=twin_url
    )
    analytics.track("u-100001", "Ad Clicked", message_id="m-oauth")
    analytics.flush()
    assert [row["message_id"] for row in tracked(twin_url) if row["stored"]] == ["m-oauth"]
    assert [getattr(failure, "status", None) for failure in failures] == [401]
