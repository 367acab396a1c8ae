"""To which hosts settings may lead, and that no secret is in the open."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from cdp_bridge import configuration, settings
from cdp_bridge.configuration import hosts, open_secrets
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.errors import ConfigError
from cdp_bridge.http import allowed_hosts
from cdp_bridge.model import Connector, OAuth
from cdp_bridge.sdk import Secret, option
from cdp_bridge.settings import SettingsError


class Account(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    token: Annotated[Secret | None, option("Token")] = None
    base_url: Annotated[str, option("Base URL")] = "https://api.example.com"
    shop: Annotated[str, option("Shop")] = ""
    note: Annotated[str, option("Note")] = ""
    mirrors: Annotated[tuple[str, ...], option("Mirrors")] = ()
    config: Annotated[dict[str, Any], option("Config")] = {}


CONNECTOR = Connector(
    name="source-shop",
    kind="source",
    settings=Account,
    load="x",
    hosts=("api.example.com", "*.shops.example.com", "files.example.com:8443"),
    oauth=OAuth(
        authorize_url="https://{shop}.shops.example.com/{note}",
        token_url="{base_url}/{note}/token",
        client_id="id",
        client_secret="secret",
        access_token="token",
    ),
)
BRIDGE = """
connections:
  - name: shop
    cdp_provider: source-shop
    api_credentials: {token: "env:TOKEN", SETTING}
"""


def foreign(raw: Mapping[str, Any], *allowed: str, before: Mapping[str, Any] | None = None) -> list[str]:
    return [error.place for error in hosts.foreign(CONNECTOR, raw, before or {}, allowed, set())]


@pytest.mark.parametrize(
    ("raw", "places"),
    [
        ({"base_url": "https://api.example.com/v2?x=1#y"}, []),
        ({"base_url": "https://a.shops.example.com"}, []),
        ({"base_url": "https://files.example.com:8443"}, []),
        ({"base_url": "https://files.example.com"}, ["base_url"]),
        ({"base_url": "http://api.example.com"}, ["base_url"]),
        ({"note": "see https://evil.example.net/x for more"}, ["note"]),
        ({"mirrors": ["https://api.example.com", "https://evil.example.net"]}, ["mirrors.1"]),
        ({"config": {"deep": [{"url": "https://evil.example.net"}]}}, ["config.deep.0.url"]),
        ({"config": {"url": "jdbc:mysql://evil.example.net/x"}}, ["config.url"]),
        ({"token": "https://evil.example.net/hook"}, ["token"]),
        ({"token": "a token with :// in it"}, []),
        ({"config": {"url": "https://{tenant}.example.net"}}, ["config.url"]),
    ],
)
def test_urls_lead_to_the_vendor_wherever_they_are(raw: Mapping[str, Any], places: list[str]) -> None:
    assert foreign(raw) == places


def test_what_stood_there_may_stay_there_only() -> None:
    before = {"mirrors": ["https://one.example.net", "http://two.example.net:8080/a"]}
    assert foreign({"mirrors": ["https://one.example.net/b", "http://two.example.net:8080"]}, before=before) == []
    assert foreign({"mirrors": ["http://two.example.net:8080"]}, before=before) == ["mirrors.0"]
    assert foreign({"mirrors": ["https://one.example.net", "http://two.example.net"]}, before=before) == ["mirrors.1"]


@pytest.mark.parametrize(
    ("entry", "url", "is_allowed"),
    [
        ("evil.example.net", "https://evil.example.net:99", True),
        ("evil.example.net:99", "https://evil.example.net", False),
        ("evil.example.net:443", "https://EVIL.example.net", True),
        ("*.example.net", "https://a.b.example.net", True),
        ("*.example.net", "https://example.net", False),
        ("evil.example.net", "http://evil.example.net", False),
        ("http://evil.example.net:80", "http://evil.example.net", True),
        ("127.0.0.1", "http://127.0.0.1:8001", True),
        ("127.0.0.1", "http://127.0.0.2:8001", False),
        ("[::1]:80", "http://[::1]", True),
        ("localhost", "http://localhost:1", True),
    ],
)
def test_a_list_names_hosts(entry: str, url: str, is_allowed: bool) -> None:
    assert (foreign({"base_url": url}, entry) == []) is is_allowed


@pytest.mark.parametrize("entry", ["", "*", "https://x", "x/y", "*.*.x/", "a b", "x:port", "me@x"])
def test_what_is_no_host_is_not_listed(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"--allow-host .*is no host\. Write HOST"):
        allowed_hosts.listed([entry])


@pytest.mark.parametrize(
    ("raw", "places"),
    [
        ({}, []),
        ({"base_url": "https://api.example.com/other"}, []),
        ({"base_url": "https://api.example.com:444"}, ["base_url"]),
        ({"base_url": "http://api.example.com"}, ["base_url"]),
        ({"note": "other"}, []),
        ({"note": "https://a.shops.example.com"}, ["note"]),
        ({"shop": "other"}, ["shop"]),
        ({"config": {"port": 1}}, ["config.port"]),
        ({"token": "other"}, []),
    ],
)
def test_what_decides_where_a_secret_goes(raw: Mapping[str, Any], places: list[str]) -> None:
    assert hosts.changed(CONNECTOR, raw, {}) == places
    assert hosts.changed(CONNECTOR, {}, raw) == places


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"base_url": "https://me:pw@api.example.com"}, "has a user or password in a URL"),
        ({"base_url": "https://pw@api.example.com"}, "has a user or password in a URL"),
        ({"config": {"db": ["postgresql://me:p@w@db/x"]}}, "has a user or password in a URL"),
        ({"base_url": "https://api.example.com/?a=b&access_token=pw"}, "among the parameters of a URL"),
        ({"note": "-----BEGIN RSA PRIVATE KEY-----"}, "holds a private key"),
        *(
            ({"config": {"credentials": {name: "pw"}}}, "looks like a secret")
            for name in ("password", "dbPassword", "api-key", "API_KEY", "clientSecret", "private_key", "refresh_token")
        ),
        ({"config": {"tokens": ["pw"]}}, "looks like a secret"),
        ({"config": {"pwd": 12345}}, "looks like a secret"),
        ({"config": {"password": "env:PASSWORD"}}, "looks like a secret"),
    ],
)
def test_no_secret_is_in_the_open(raw: Mapping[str, Any], problem: str) -> None:
    (error,) = open_secrets.faults(settings.schema(Account), raw)
    assert problem in error.problem
    assert error.remedy == "Put it into a secret setting (token)"
    assert error.place


@pytest.mark.parametrize(
    "raw",
    [
        {"base_url": "https://api.example.com/@me?page=2"},
        {"config": {"db": "postgresql://me@db/x", "user": "me@example.com"}},
        {"config": {"password": "", "token": None, "secret": False, "primary_key": "id", "auth": {"type": "none"}}},
        {"config": {"filters": [{"key": "country"}], "token_type": "bearer", "passwordless": "yes"}},
        {"token": "env:TOKEN", "note": "a token: is nothing here"},
    ],
)
def test_what_is_no_secret_may_be_in_the_open(raw: Mapping[str, Any]) -> None:
    assert list(open_secrets.faults(settings.schema(Account), raw)) == []


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("base_url: 'http://api.example.com'", "would send tokens unencrypted"),
        ("config: {url: 'http://10.0.0.1'}", "would send tokens unencrypted"),
        ("base_url: 'https://me:pw@api.example.com'", "has a user or password in a URL"),
        ("config: {api_key: pw}", "looks like a secret"),
        ("base_url: 'https://evil.example.net'", ""),
        ("base_url: 'http://127.0.0.1:8001'", ""),
        ("note: 'see http://evil.example.net'", ""),
        ("base_url: 'http://plain.example.net:8002'", ""),
    ],
)
def test_bridge_yaml_names_any_host_but_sends_nothing_in_the_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, problem: str
) -> None:
    monkeypatch.setenv(allowed_hosts.VARIABLE, "other.example.net http://plain.example.net:8002")
    registry = Registry()
    registry.connectors = {CONNECTOR.name: CONNECTOR}
    file = tmp_path / "bridge.yaml"
    file.write_text(BRIDGE.replace("SETTING", setting))
    if not problem:
        assert configuration.load(file, registry).connections
        return
    with pytest.raises(SettingsError) as caught:
        configuration.load(file, registry)
    (error,) = caught.value.errors
    assert problem in error.problem
    assert "5:" in error.place
    assert "pw" not in str(error)


@pytest.mark.parametrize("part", ["x", "1", "a.", "?", "?a", "a://", "http://", "jdbc:", "-----BEGIN ", "&a"])
@pytest.mark.parametrize("end", ["", "://", "@", "=x"])
def test_a_million_characters_of_anything_are_judged(part: str, end: str) -> None:
    """By a pattern that looks again from each character, this would take hours."""
    text = part * (1_000_000 // len(part)) + end
    places = {
        *foreign({"note": text}),
        *(error.place for error in open_secrets.faults(settings.schema(Account), {"note": text})),
    }
    assert places <= {"note"}


def test_a_url_in_the_middle_of_a_word_is_seen() -> None:
    assert foreign({"note": "1.2https://evil.example.net"}) == ["note"]
