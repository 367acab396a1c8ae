"""What an administrator's key tries in order to have secrets sent elsewhere, or kept in the open."""

from __future__ import annotations

from typing import Any

import pytest
from cdp_bridge.entities import Bridge, CDPConnection, DestinationAccount
from cdp_bridge.secrets import Secret
from cdp_bridge.store import Store
from cdp_bridge.testing.configuring import configure

from .conftest import Target, attacked

EVIL = "https://evil.example.com"
META = {"access_token": "token-of-meta", "ad_account_id": "act_1"}
HOSTS = ("proxy.example.com", "other.example.com:8443", "*.partner.example.com", "db.example.com:5432")


def destination(settings: dict[str, Any], name: str = "ads", connector: str = "destination-meta") -> dict[str, Any]:
    return {"name": name, "connector": connector, "settings": settings}


def made(target: Target, settings: dict[str, Any], name: str = "ads") -> dict[str, Any]:
    """The settings of a new account at Meta, with references."""
    answer = target.call("POST", "/v1/destinations", destination(settings, name))
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["settings"])


def refused(target: Target, settings: dict[str, Any], place: str, problem: str, **account: str) -> None:
    """Assert that the account `ads` stays as it is, and that the answer says where and why."""
    before = target.call("GET", "/v1/destinations/ads").json()
    patched = dict.fromkeys(before["settings"]) | settings
    for answer in (
        target.replace("/v1/destinations/ads", destination(settings, **account)),
        target.call("PATCH", "/v1/destinations/ads", destination(patched, **account)),
    ):
        assert answer.status_code == 422, answer.text
        errors = {error["place"]: error for error in answer.json()["errors"]}
        assert problem in errors[f"settings.{place}"]["problem"]
        assert errors[f"settings.{place}"]["remedy"]
        assert target.call("GET", "/v1/destinations/ads").json() == before


@pytest.fixture
def listing(store: Store) -> Any:
    """A server that lists hosts besides those of the vendors."""
    with attacked(store, allowed_hosts=HOSTS) as target:
        yield target


@pytest.mark.parametrize("setting", ["base_url", "login_url"])
def test_a_stored_secret_follows_no_changed_host(listing: Target, setting: str) -> None:
    kept = made(listing, META)
    moved = kept | {setting: "https://proxy.example.com"}
    refused(listing, moved, "access_token", f"these have changed: {setting}")
    assert listing.replace("/v1/destinations/ads", destination(moved | META)).status_code == 200, "sent again"


def test_a_secret_that_was_sent_to_a_listed_host_does_not_follow_the_way_back(listing: Target) -> None:
    kept = made(listing, META | {"base_url": "https://proxy.example.com/a"})
    del kept["base_url"]
    refused(listing, kept, "access_token", "base_url")
    refused(listing, kept | {"base_url": "https://x.partner.example.com"}, "access_token", "base_url")


def test_what_decides_nothing_may_change_and_the_secret_stay(listing: Target) -> None:
    kept = made(listing, META)
    for same in ({"ad_account_id": "act_2"}, {"base_url": "https://graph.facebook.com"}, {"api_version": "v99.0"}):
        answer = listing.replace("/v1/destinations/ads", destination(kept | same))
        assert answer.status_code == 200, answer.text
        assert answer.json()["settings"]["access_token"] == kept["access_token"]


@pytest.mark.parametrize("reference", ["env:META_TOKEN", "file:/run/secrets/meta"])
def test_a_reference_of_bridge_yaml_follows_no_changed_host(listing: Target, reference: str) -> None:
    account = DestinationAccount(name="ads", connector="destination-meta", settings=META | {"access_token": reference})
    configure(listing.store, Bridge(destinations=(account,)))
    moved = account.settings | {"base_url": "https://proxy.example.com"}
    refused(listing, moved, "access_token", "base_url")
    refused(listing, account.settings | {"app_secret": reference}, "app_secret", "only bridge.yaml")
    assert listing.replace("/v1/destinations/ads", destination(account.settings)).status_code == 200


def test_the_secret_of_another_account_is_out_of_reach(target: Target) -> None:
    other = made(target, META, name="other")
    kept = made(target, META)
    refused(target, kept | {"access_token": other["access_token"]}, "access_token", "not the reference of this")
    refused(target, kept | {"app_secret": kept["access_token"]}, "app_secret", "not the reference of this")
    fresh = target.call("POST", "/v1/destinations", destination(META | {"access_token": other["access_token"]}, "new"))
    assert fresh.status_code == 422


def test_a_secret_follows_no_account_to_another_connector(target: Target) -> None:
    kept = made(target, META)
    settings = {"access_token": kept["access_token"], "advertiser_id": "7000000000000000001"}
    refused(target, settings, "access_token", "not the reference of this", connector="destination-tiktok")


def test_the_secret_of_the_app_and_the_sign_in_follow_no_changed_host(listing: Target) -> None:
    app = META | {"app_id": "1", "app_secret": "secret-of-the-app", "access_token": "oauth:meta-main"}
    kept = made(listing, app)
    moved = kept | {"base_url": "https://proxy.example.com"}
    refused(listing, moved, "app_secret", "base_url")
    refused(listing, moved, "access_token", "base_url")
    refused(listing, moved | {"app_secret": "again"}, "access_token", "base_url")
    again = moved | {"app_secret": "again", "access_token": "oauth:meta-proxy"}
    assert listing.replace("/v1/destinations/ads", destination(again)).status_code == 200


def test_the_sign_in_of_another_account_is_out_of_reach(target: Target) -> None:
    made(target, META | {"access_token": "oauth:meta-main"}, name="other")
    made(target, META)
    refused(target, META | {"access_token": "oauth:meta-main"}, "access_token", "sign-in of another")
    target.store.secrets.put("oauth:left", Secret("{}"))
    refused(target, META | {"access_token": "oauth:left"}, "access_token", "sign-in of another")


ELSEWHERE = [
    EVIL,
    "https://graph.facebook.com.evil.example.com",
    "https://graph.facebook.com:8443",
    "https://evil.example.com/?https://graph.facebook.com",
    "https://evil.example.com#@graph.facebook.com",
    "https://127.0.0.1:8443",
    "http://127.0.0.1:8001",
    "https://[::1]",
    "https://2130706433",
    "https://graph.facebook.com.",
    "https://evil.example.com:99999",
]
AMBIGUOUS = [
    "https://evil.example.com\\@graph.facebook.com",
    "https://graph.facebook.com\\@evil.example.com",
    "https://graph.facebook.com\t.evil.example.com",
    "https://graph.facebook.com。evil.example.com",
    "https://ｅvil.example.com",
    "https://",
    "https:///graph.facebook.com",
    "https://graph.facebook.com:443:80",
    "https://[graph.facebook.com]",
    "https://%65vil.example.com",
]


@pytest.mark.parametrize("url", ELSEWHERE + AMBIGUOUS)
def test_settings_lead_to_no_host_but_the_vendors(target: Target, url: str) -> None:
    answer = target.call("POST", "/v1/destinations", destination(META | {"base_url": url}))
    assert answer.status_code == 422, answer.text
    said = "cannot be told" if url in AMBIGUOUS else "leads to a host that is not the vendor's"
    assert any(said in error["problem"] for error in answer.json()["errors"]), answer.text
    assert target.call("GET", "/v1/destinations").json()["items"] == []


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("https://proxy.example.com", 201),
        ("https://proxy.example.com:9443/graph", 201),
        ("https://PROXY.example.com", 201),
        ("https://other.example.com:8443", 201),
        ("https://a.partner.example.com", 201),
        ("https://other.example.com", 422),
        ("https://partner.example.com", 422),
        ("https://apartner.example.com", 422),
        ("http://proxy.example.com", 422),
        ("http://graph.facebook.com:443", 422),
    ],
)
def test_the_server_lists_other_hosts(listing: Target, url: str, status: int) -> None:
    answer = listing.call("POST", "/v1/destinations", destination(META | {"base_url": url}))
    assert answer.status_code == status, answer.text
    if url.startswith("http:"):
        assert "unencrypted" in answer.text


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("postgresql://me:pw@db.example.com/people", 201),
        ("postgresql+psycopg://me:pw@db.example.com:5432/people?sslmode=require", 201),
        ("postgresql://me:pw@evil.example.com/people", 422),
        ("postgresql://me:pw@db.example.com:6432/people", 422),
        ("postgresql://me:pw@127.0.0.1/people", 422),
        ("postgresql://me:pw@db.example.com,evil.example.com/people", 422),
        ("postgresql://me:pw@db.example.com/people?sslkey=/etc/key", 422),
        ("jdbc:postgresql://evil.example.com/people", 422),
        ("mssql+pyodbc://db.example.com/x?odbc_connect=Server%3Devil", 422),
    ],
)
def test_a_warehouse_is_at_a_listed_host(listing: Target, url: str, status: int) -> None:
    credentials = {"public_api_token": "token", "warehouse": {"url": url}}
    body = {"name": "crm", "cdp_provider": "source-segment", "api_credentials": credentials}
    assert listing.call("POST", "/v1/connections", body).status_code == status


def test_a_host_of_bridge_yaml_may_stay_where_it_is(target: Target) -> None:
    given = META | {"access_token": "env:META_TOKEN", "base_url": "http://127.0.0.1:8001"}
    configure(
        target.store,
        Bridge(destinations=(DestinationAccount(name="ads", connector="destination-meta", settings=given),)),
    )
    kept = destination(given | {"ad_account_id": "act_2"})
    assert target.replace("/v1/destinations/ads", kept).status_code == 200
    refused(target, given | {"login_url": "http://127.0.0.1:8001"}, "login_url", "not the vendor's")
    refused(target, given | {"base_url": "http://127.0.0.1:8002"}, "base_url", "not the vendor's")


def airbyte(config: dict[str, Any], **more: Any) -> dict[str, Any]:
    program = {"type": "executable", "command": "/opt/source/bin/source"}
    credentials = {"connector": program, "config": config, "secrets": {"password": "env:CRM_PASSWORD"}} | more
    return {"name": "crm", "cdp_provider": "source-airbyte", "api_credentials": credentials}


def test_the_secrets_of_a_program_follow_no_change_of_its_config(listing: Target) -> None:
    given = airbyte({"host": "crm.example.com"})
    configure(
        listing.store,
        Bridge(
            connections=(
                CDPConnection(name="crm", cdp_provider="source-airbyte", api_credentials=given["api_credentials"]),
            )
        ),
    )
    members = {"members": {"stream": "people"}}
    assert listing.replace("/v1/connections/crm", airbyte({"host": "crm.example.com"}, **members)).status_code == 200
    for changed in (
        airbyte({"host": "evil.example.com"}),
        airbyte({"host": "crm.example.com", "port": 1}),
        airbyte({}),
        airbyte({"host": "crm.example.com"}, hosts=["proxy.example.com"]),
    ):
        answer = listing.replace("/v1/connections/crm", changed)
        assert answer.status_code == 422
        assert "these have changed" in answer.text
    answer = listing.replace("/v1/connections/crm", airbyte({"host": "crm.example.com"}, hosts=["evil.example.com"]))
    assert "not the vendor's" in answer.text


@pytest.mark.parametrize("user", ["user:word@", "word@", "user:wo@rd@", ":word@"])
def test_a_url_has_no_password(listing: Target, user: str) -> None:
    made(listing, META)
    answer = listing.replace(
        "/v1/destinations/ads", destination(META | {"base_url": f"https://{user}proxy.example.com"})
    )
    assert answer.status_code == 422
    assert "word" not in answer.text.replace("password", "")


@pytest.mark.parametrize("name", ["password", "apiKey", "client-secret", "ACCESS_TOKEN", "private_key", "tokens"])
def test_a_config_has_no_secret(store: Store, name: str) -> None:
    with attacked(store, allowed=("/opt/source/bin/source",)) as target:
        body = airbyte({"credentials": {name: ["canary-1"] if name == "tokens" else "canary-1"}}, secrets={})
        answer = target.call("POST", "/v1/connections", body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["problem"], "secrets" in error["remedy"]) == (
        "looks like a secret, and is in a setting that is not kept secret",
        True,
    )
    assert "canary" not in answer.text
