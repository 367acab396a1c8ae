"""Connecting an account by signing in: over real HTTP, against a platform that is strict."""

import logging
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cdp_bridge import settings
from cdp_bridge.errors import ConfigError, TransientError
from cdp_bridge.oauth import Grants
from cdp_bridge.secrets import Resolver
from cdp_bridge.settings import SettingsError
from cdp_bridge.store import Store

from .conftest import Clock
from .twin import BACK, TERMS, Platform, Settings, sign_in


def test_who_signs_in_connects_the_account(
    store: Store, grants: Grants, raw: dict[str, Any], platform: Platform
) -> None:
    assert not grants.is_connected("shop")
    begun = grants.begin(TERMS, Settings, raw, BACK)
    assert grants.finish(sign_in(begun.url)) == "shop"
    assert grants.is_connected("shop")
    loaded = settings.load(Settings, raw, Resolver(stored=store.secrets.secret, granted=grants.token))
    assert loaded.access_token.reveal() == platform.issued[1]
    assert platform.calls == ["authorization_code"]
    grants.forget("shop")
    with pytest.raises(SettingsError, match=r"^access_token: nobody has connected shop"):
        settings.load(Settings, raw, Resolver(stored=store.secrets.secret, granted=grants.token))


def test_each_sign_in_has_a_state_and_a_verifier_of_its_own(grants: Grants, raw: dict[str, Any]) -> None:
    begun = [grants.begin(TERMS, Settings, raw, BACK) for _ in range(2)]
    asked = [dict(parse_qsl(urlsplit(one.url).query)) for one in begun]
    assert [one["state"] for one in asked] == [one.state for one in begun]
    assert all(len(one.state) >= 43 for one in begun)
    assert asked[0]["state"] != asked[1]["state"]
    assert asked[0]["code_challenge"] != asked[1]["code_challenge"]


def test_a_state_is_good_once(grants: Grants, raw: dict[str, Any], platform: Platform) -> None:
    answer = sign_in(grants.begin(TERMS, Settings, raw, BACK).url)
    grants.finish(answer)
    with pytest.raises(ConfigError, match="finished already"):
        grants.finish(answer)
    assert platform.calls == ["authorization_code"]


@pytest.mark.parametrize("state", ["", "x", "é" * 50, "\ud800", "state:0", "%00"])
def test_a_state_of_nobody_is_refused_before_the_platform_is_asked(
    grants: Grants, raw: dict[str, Any], platform: Platform, state: str
) -> None:
    grants.begin(TERMS, Settings, raw, BACK)
    with pytest.raises(ConfigError, match="not begun here"):
        grants.finish({"state": state, "code": "code"})
    assert platform.calls == []


def test_who_says_no_connects_nothing(grants: Grants, raw: dict[str, Any], platform: Platform) -> None:
    answer = {"state": grants.begin(TERMS, Settings, raw, BACK).state, "error": "access_denied"}
    with pytest.raises(ConfigError, match=r"sign-in of shop was refused\. Begin again"):
        grants.finish(answer)
    with pytest.raises(ConfigError, match="not begun here"):
        grants.finish(answer)
    assert platform.calls == []


def test_who_takes_too_long_begins_again(grants: Grants, raw: dict[str, Any], clock: Clock) -> None:
    answer = sign_in(grants.begin(TERMS, Settings, raw, BACK).url)
    clock.now += 600
    with pytest.raises(ConfigError, match="took too long"):
        grants.finish(answer)


def test_a_code_of_another_sign_in_is_no_good(grants: Grants, raw: dict[str, Any]) -> None:
    mine, theirs = (grants.begin(TERMS, Settings, raw, BACK) for _ in range(2))
    stolen = sign_in(theirs.url)["code"]
    with pytest.raises(ConfigError, match=r"gives no token \(invalid_grant\)"):
        grants.finish({"state": mine.state, "code": stolen})
    assert not grants.is_connected("shop")


@pytest.mark.parametrize(
    ("fault", "kind"), [(500, TransientError), (429, TransientError), (302, ConfigError), ("after", TransientError)]
)
def test_a_platform_that_fails_is_an_error_of_its_kind(
    grants: Grants, raw: dict[str, Any], platform: Platform, fault: int | str, kind: type[Exception]
) -> None:
    answer = sign_in(grants.begin(TERMS, Settings, raw, BACK).url)
    platform.faults.append(fault)
    with pytest.raises(kind):
        grants.finish(answer)
    assert not grants.is_connected("shop")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"access_token": "env:TOKEN"}, "access_token: it is not filled by signing in. Set it to oauth:NAME"),
        ({"access_token": "oauth:../x"}, "access_token: it is not filled"),
        ({"client_id": ""}, "client_id: signing in needs it"),
        ({"client_secret": "store:gone"}, "client_secret: the store keeps no secret gone"),
        ({"unknown": "x"}, "unknown: is not a known setting"),
    ],
)
def test_settings_that_cannot_be_connected_are_explained(
    grants: Grants, raw: dict[str, Any], change: dict[str, str], fault: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        grants.begin(TERMS, Settings, raw | change, BACK)
    assert str(caught.value).startswith(fault)


@pytest.mark.parametrize(
    "address", ["http://bridge.example/x", "https:///x", "https://a/x#y", "javascript:x", "http://["]
)
def test_a_code_never_comes_back_in_the_clear(grants: Grants, raw: dict[str, Any], address: str) -> None:
    with pytest.raises(ConfigError, match="unencrypted"):
        grants.begin(TERMS, Settings, raw, address)


def test_no_secret_is_in_a_url_a_log_an_error_or_a_file(
    grants: Grants,
    raw: dict[str, Any],
    platform: Platform,
    tmp_path: Path,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    grants.finish(sign_in(grants.begin(TERMS, Settings, raw, BACK).url))
    clock.now += 1_801
    platform.faults.append(500)
    grants.token("shop")
    grants.token("shop")
    platform.refresh_tokens.clear()
    clock.now += 3_600
    with pytest.raises(ConfigError) as caught:
        grants.token("shop")
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.name != "keyring")
    said = "\n".join([*platform.urls, caplog.text, str(caught.value), repr(caught.value)])
    assert len(platform.issued) == 5
    for secret in [*platform.issued, "app-secret-1"]:
        assert secret not in said
        assert secret.encode() not in files
