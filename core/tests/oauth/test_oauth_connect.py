"""Connecting an account by signing in: over real HTTP, against a platform that is strict."""

import logging
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cdp_bridge import settings
from cdp_bridge.errors import ConfigError, TransientError
from cdp_bridge.oauth import Grants, SignIns
from cdp_bridge.secrets import Resolver
from cdp_bridge.settings import SettingsError
from cdp_bridge.store import Store
from msgspec import structs

from .conftest import Clock
from .twin import BACK, CONNECTOR, TERMS, Platform, Settings, account, opened, sign_in


def test_who_signs_in_connects_the_account_once_it_is_confirmed(
    store: Store, sign_ins: SignIns, grants: Grants, raw: dict[str, Any], platform: Platform
) -> None:
    redirect = opened(sign_ins, account(raw))
    done = sign_ins.finish(CONNECTOR, redirect.browser, sign_in(redirect.url))
    assert (done.kind, done.name) == ("destination", "shop")
    assert not sign_ins.is_connected("shop")
    sign_ins.confirm(account(raw), f" {done.code.lower()}")
    assert sign_ins.is_connected("shop")
    loaded = settings.load(Settings, raw, Resolver(stored=store.secrets.secret, granted=grants.token))
    assert loaded.access_token.reveal() == platform.issued[1]
    assert platform.calls == ["authorization_code"]
    grants.forget("shop")
    with pytest.raises(SettingsError, match=r"^access_token: nobody has connected shop"):
        settings.load(Settings, raw, Resolver(stored=store.secrets.secret, granted=grants.token))


def test_each_sign_in_has_secrets_of_its_own(sign_ins: SignIns, raw: dict[str, Any]) -> None:
    first, second = (opened(sign_ins, account(raw)) for _ in range(2))
    asked = [dict(parse_qsl(urlsplit(redirect.url).query)) for redirect in (first, second)]
    assert [query["state"] for query in asked] == [first.state, second.state]
    assert asked[0]["code_challenge"] != asked[1]["code_challenge"]
    secrets = {first.state, second.state, first.browser, second.browser}
    assert len(secrets) == 4
    assert all(len(secret) >= 43 for secret in secrets)


def test_a_ticket_a_state_and_a_code_are_good_once(
    sign_ins: SignIns, grants: Grants, raw: dict[str, Any], platform: Platform
) -> None:
    ticket = sign_ins.begin(account(raw), BACK)
    redirect = sign_ins.open(CONNECTOR, ticket)
    with pytest.raises(ConfigError, match="opened already"):
        sign_ins.open(CONNECTOR, ticket)
    answer = sign_in(redirect.url)
    done = sign_ins.finish(CONNECTOR, redirect.browser, answer)
    with pytest.raises(ConfigError, match="finished already"):
        sign_ins.finish(CONNECTOR, redirect.browser, answer)
    sign_ins.confirm(account(raw), done.code)
    grants.forget("shop")
    with pytest.raises(ConfigError, match="no sign-in of this account waits"):
        sign_ins.confirm(account(raw), done.code)
    assert platform.calls == ["authorization_code"]


@pytest.mark.parametrize("guess", ["", "x", "é" * 50, "\ud800", "state:0", "%00", '", "'])
def test_a_guess_is_refused_before_the_platform_is_asked_and_spoils_nothing(
    sign_ins: SignIns, grants: Grants, raw: dict[str, Any], platform: Platform, guess: str
) -> None:
    ticket = sign_ins.begin(account(raw), BACK)
    with pytest.raises(ConfigError, match="opened already, or is too old"):
        sign_ins.open(CONNECTOR, guess)
    redirect = sign_ins.open(CONNECTOR, ticket)
    for browser, state in ((redirect.browser, guess), (guess, redirect.state), (guess, guess)):
        for rest in ({"code": "code"}, {"error": "access_denied"}, {"code": "code", "iss": "https://evil.example"}):
            with pytest.raises(ConfigError, match="not begun in this browser"):
                sign_ins.finish(CONNECTOR, browser, {"state": state} | rest)
    assert platform.calls == []
    done = sign_ins.finish(CONNECTOR, redirect.browser, sign_in(redirect.url))
    for _ in range(20):
        with pytest.raises(ConfigError, match="no sign-in of this account waits"):
            sign_ins.confirm(account(raw), guess)
    sign_ins.confirm(account(raw), done.code)
    assert sign_ins.is_connected("shop")


def test_an_address_of_another_connector_goes_on_with_nothing(
    sign_ins: SignIns, raw: dict[str, Any], platform: Platform
) -> None:
    ticket = sign_ins.begin(account(raw), BACK)
    with pytest.raises(ConfigError, match="opened already"):
        sign_ins.open("destination-other", ticket)
    redirect = sign_ins.open(CONNECTOR, ticket)
    answer = sign_in(redirect.url)
    with pytest.raises(ConfigError, match="not begun in this browser"):
        sign_ins.finish("destination-other", redirect.browser, answer)
    assert platform.calls == []
    assert sign_ins.finish(CONNECTOR, redirect.browser, answer).code


def test_who_says_no_connects_nothing(sign_ins: SignIns, raw: dict[str, Any], platform: Platform) -> None:
    redirect = opened(sign_ins, account(raw))
    answer = {"state": redirect.state, "error": "access_denied"}
    with pytest.raises(ConfigError, match=r"sign-in of shop was refused\. Begin again"):
        sign_ins.finish(CONNECTOR, redirect.browser, answer)
    with pytest.raises(ConfigError, match="finished already"):
        sign_ins.finish(CONNECTOR, redirect.browser, answer)
    assert platform.calls == []


def test_each_step_has_ten_minutes(sign_ins: SignIns, raw: dict[str, Any], clock: Clock) -> None:
    ticket = sign_ins.begin(account(raw), BACK)
    clock.now += 600
    with pytest.raises(ConfigError, match="is too old"):
        sign_ins.open(CONNECTOR, ticket)
    redirect = opened(sign_ins, account(raw))
    answer = sign_in(redirect.url)
    clock.now += 600
    with pytest.raises(ConfigError, match="took too long"):
        sign_ins.finish(CONNECTOR, redirect.browser, answer)
    redirect = opened(sign_ins, account(raw))
    done = sign_ins.finish(CONNECTOR, redirect.browser, sign_in(redirect.url))
    clock.now += 600
    with pytest.raises(ConfigError, match="no sign-in of this account waits"):
        sign_ins.confirm(account(raw), done.code)


def test_a_code_of_another_sign_in_is_no_good(sign_ins: SignIns, raw: dict[str, Any]) -> None:
    mine, theirs = (opened(sign_ins, account(raw)) for _ in range(2))
    stolen = sign_in(theirs.url)["code"]
    with pytest.raises(ConfigError, match=r"gives no token \(invalid_grant\)"):
        sign_ins.finish(CONNECTOR, mine.browser, {"state": mine.state, "code": stolen})


@pytest.mark.parametrize(
    ("change", "name"),
    [({"base_url": "https://evil.example"}, "shop"), ({"access_token": "oauth:other"}, "shop"), ({}, "x")],
)
def test_an_account_that_has_changed_meanwhile_gets_no_token(
    sign_ins: SignIns, grants: Grants, raw: dict[str, Any], change: dict[str, str], name: str
) -> None:
    redirect = opened(sign_ins, account(raw))
    done = sign_ins.finish(CONNECTOR, redirect.browser, sign_in(redirect.url))
    with pytest.raises(ConfigError, match="no sign-in of this account waits"):
        sign_ins.confirm(structs.replace(account(raw | change), name=name), done.code)
    assert not sign_ins.is_connected("other")
    sign_ins.confirm(account(raw), done.code)
    assert sign_ins.is_connected("shop")


ISSUER = "https://id.shop.example/tenant"


@pytest.mark.parametrize(
    ("known", "answered", "is_right"),
    [
        (ISSUER, ISSUER, True),
        (ISSUER, "", False),
        (ISSUER, "https://id.shop.example", False),
        (ISSUER, f"{ISSUER}/", False),
        ("{base_url}", "{base_url}", True),
        ("{base_url}", "https://evil.example", False),
        ("", "", True),
        ("", "{base_url}", True),
        ("", "{base_url}/tenant", True),
        ("", "https://evil.example", False),
        ("", "{base_url}.evil.example", False),
        ("", "http://[", False),
        ("", "x", False),
    ],
)
def test_an_answer_is_of_the_server_that_was_asked(
    sign_ins: SignIns, raw: dict[str, Any], platform: Platform, known: str, answered: str, is_right: bool
) -> None:
    platform.issuer = answered.format(base_url=platform.url)
    redirect = opened(sign_ins, account(raw, structs.replace(TERMS, issuer=known)))
    answer = sign_in(redirect.url)
    if is_right:
        assert sign_ins.finish(CONNECTOR, redirect.browser, answer).code
    else:
        with pytest.raises(ConfigError, match=r"^iss: the answer is not from the server that was asked"):
            sign_ins.finish(CONNECTOR, redirect.browser, answer)
        assert platform.calls == []


@pytest.mark.parametrize(
    ("fault", "kind"), [(500, TransientError), (429, TransientError), (302, ConfigError), ("after", TransientError)]
)
def test_a_platform_that_fails_is_an_error_of_its_kind(
    sign_ins: SignIns, raw: dict[str, Any], platform: Platform, fault: int | str, kind: type[Exception]
) -> None:
    redirect = opened(sign_ins, account(raw))
    answer = sign_in(redirect.url)
    platform.faults.append(fault)
    with pytest.raises(kind):
        sign_ins.finish(CONNECTOR, redirect.browser, answer)


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
    sign_ins: SignIns, raw: dict[str, Any], change: dict[str, str], fault: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        sign_ins.begin(account(raw | change), BACK)
    assert str(caught.value).startswith(fault)


@pytest.mark.parametrize(
    "address", ["http://bridge.example/x", "https:///x", "https://a/x#y", "javascript:x", "http://["]
)
def test_a_code_never_comes_back_in_the_clear(sign_ins: SignIns, raw: dict[str, Any], address: str) -> None:
    with pytest.raises(ConfigError, match="unencrypted"):
        sign_ins.begin(account(raw), address)


def test_no_secret_is_in_a_url_a_log_an_error_or_a_file(
    sign_ins: SignIns,
    grants: Grants,
    raw: dict[str, Any],
    platform: Platform,
    tmp_path: Path,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    ticket = sign_ins.begin(account(raw), BACK)
    redirect = sign_ins.open(CONNECTOR, ticket)
    done = sign_ins.finish(CONNECTOR, redirect.browser, sign_in(redirect.url))
    sign_ins.confirm(account(raw), done.code)
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
    for secret in [*platform.issued, "app-secret-1", ticket, redirect.browser, done.code, done.code.replace("-", "")]:
        assert secret not in said
        assert secret.encode() not in files
