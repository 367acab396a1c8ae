"""What strangers, other browsers and other servers can do to a person who connects an account by signing in."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
import sandbox
from cdp_bridge.store import Store

from .conftest import Target, attacked

CALLBACK = "/oauth/callback/destination-meta"


class Browser(requests.Session):
    """A browser that stops before it brings the answer of a platform back."""

    def sign_in(self, url: str) -> str:
        """Open the address to sign in at, and agree: the address to which the platform sends the browser back."""
        there = self.get(url, allow_redirects=False)
        assert there.status_code == 303, there.text
        return self.get(there.headers["Location"], allow_redirects=False).headers["Location"]


@pytest.fixture
def account() -> Iterator[dict[str, str]]:
    """The settings of an account at Meta's twin."""
    with sandbox.running(people=0) as twins:
        yield {
            "app_id": "sandbox-app",
            "app_secret": "sandbox-secret",
            "access_token": "oauth:meta-main",
            "ad_account_id": "act_1001",
            "base_url": twins.meta,
            "login_url": twins.meta,
        }


@pytest.fixture
def target(store: Store) -> Iterator[Target]:
    """A server whose accounts may be at the twin."""
    with attacked(store, allowed_hosts=("127.0.0.1",)) as running:
        yield running


@pytest.fixture
def begin(target: Target, account: dict[str, str]) -> str:
    """The path at which sign-ins of the destination `meta` begin."""
    body = {"name": "meta", "connector": "destination-meta", "settings": account}
    target.call("POST", "/v1/destinations", body).raise_for_status()
    return "/v1/destinations/meta/connect"


def url(target: Target, begin: str) -> str:
    return str(target.call("POST", begin).json()["url"])


def code(page: requests.Response) -> str:
    found = re.search("with the code ([A-Z2-7-]+)<", page.text)
    assert found, page.text
    return found[1]


def confirm(target: Target, begin: str, code: str, role: str = "admin") -> int:
    return target.call("POST", f"{begin}/confirm", {"code": code}, role).status_code


def is_connected(target: Target) -> bool:
    return bool(target.call("POST", "/v1/destinations/meta/check").json()["passed"])


def test_an_answer_in_another_browser_is_refused_and_spoils_nothing(target: Target, begin: str) -> None:
    person, victim, other = Browser(), Browser(), Browser()
    back = person.sign_in(url(target, begin))
    other.sign_in(url(target, begin))
    for browser in (victim, other):
        refused = browser.get(back)
        assert (refused.status_code, "not begun in this browser" in refused.text) == (400, True)
    assert confirm(target, begin, code(person.get(back))) == 204
    assert is_connected(target)


def test_a_stranger_who_calls_the_address_spoils_nothing(target: Target, begin: str) -> None:
    person = Browser()
    back = person.sign_in(url(target, begin))
    state = dict(parse_qsl(urlsplit(back).query))["state"]
    name, value = person.cookies.items()[0]
    for query in (f"state={state}&error=access_denied", f"state={state}&code=mine", f"state={state[:-1]}&code=mine"):
        for cookies in ({}, {name: "guess"}, {"sign-in": value}):
            assert requests.get(f"{target.url}{CALLBACK}?{query}", cookies=cookies).status_code == 400
    assert "a parameter of the address is there twice" in person.get(f"{back}&code=mine").text
    assert confirm(target, begin, code(person.get(back))) == 204


def test_whose_answer_came_is_no_use_until_an_administrator_confirms_it(target: Target, begin: str) -> None:
    thief = Browser()
    opened = url(target, begin)
    page = thief.get(thief.sign_in(opened))
    assert not is_connected(target)
    assert "opened already" in requests.get(opened).text, "so the person learns of it"
    person = Browser()
    mine = code(person.get(person.sign_in(url(target, begin))))
    for role in ("viewer", "operator"):
        assert confirm(target, begin, code(page), role) == 403
    for _ in range(20):
        assert confirm(target, begin, "AAAA-AAAA-AAAA-AAAA") == 422
    assert not is_connected(target)
    assert confirm(target, begin, mine) == 204
    assert confirm(target, begin, mine) == 422
    actions = [entry["action"] for entry in target.entries() if entry["name"] == "meta"]
    assert {"connect", "sign in", "confirm", "refuse"} <= set(actions)


def test_a_code_confirms_its_own_account_as_it_was(target: Target, begin: str, account: dict[str, str]) -> None:
    settings = account | {"access_token": "oauth:meta-other"}
    body = {"name": "other", "connector": "destination-meta", "settings": settings}
    target.call("POST", "/v1/destinations", body).raise_for_status()
    person = Browser()
    shown = code(person.get(person.sign_in(url(target, begin))))
    assert confirm(target, "/v1/destinations/other/connect", shown) == 422
    changed = account | {"ad_account_id": "act_9999"}
    target.replace("/v1/destinations/meta", {"name": "meta", "connector": "destination-meta", "settings": changed})
    assert confirm(target, begin, shown) == 422


def test_a_code_at_the_address_of_another_connector_is_refused(target: Target, begin: str) -> None:
    person = Browser()
    back = person.sign_in(url(target, begin))
    mixed_up = back.replace("destination-meta", "destination-tiktok")
    assert "not begun in this browser" in person.get(mixed_up).text
    assert person.get(back).status_code == 200


def test_an_answer_of_another_server_is_refused(target: Target, begin: str) -> None:
    person = Browser()
    back = person.sign_in(url(target, begin))
    refused = person.get(f"{back}&iss=https%3A%2F%2Fevil.example")
    assert (refused.status_code, "not from the server that was asked" in refused.text) == (400, True)


def test_nothing_of_a_sign_in_is_in_a_log_or_an_answer_for_others(
    target: Target, begin: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "cdp_bridge")
    person = Browser()
    opened = url(target, begin)
    back = person.sign_in(opened)
    query = dict(parse_qsl(urlsplit(back).query))
    requests.get(back)
    page = person.get(back)
    requests.get(opened)
    confirm(target, begin, f"{code(page)}X")
    confirm(target, begin, code(page))
    assert "<script" not in page.text
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert not person.cookies, "the cookie ends with the sign-in"
    said = caplog.text + target.call("GET", "/v1/audit?limit=200").text + target.call("GET", "/v1/destinations").text
    ticket = opened.partition("ticket=")[2]
    for secret in (ticket, query["state"], query["code"], code(page), code(page).replace("-", "")):
        assert secret not in said


@pytest.mark.parametrize(
    ("public_url", "prefix", "is_secure"),
    [("https://bridge.example", "__Host-", True), ("http://localhost", "", False)],
)
def test_a_cookie_is_for_this_host_and_no_script(
    store: Store, account: dict[str, str], public_url: str, prefix: str, is_secure: bool
) -> None:
    with attacked(store, public_url=public_url, allowed_hosts=("127.0.0.1",)) as target:
        body = {"name": "meta", "connector": "destination-meta", "settings": account}
        target.call("POST", "/v1/destinations", body).raise_for_status()
        begun = url(target, "/v1/destinations/meta/connect")
        assert begun.startswith(f"{public_url}/oauth/start/destination-meta?ticket=")
        there = requests.get(begun.replace(public_url, target.url), allow_redirects=False)
    cookie = there.headers["Set-Cookie"]
    assert re.match(rf"{prefix}sign-in-[0-9a-f]{{16}}=[\w-]{{43}};", cookie)
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Max-Age=600"} <= set(cookie.split("; "))
    assert ("Secure" in cookie) == is_secure
    assert "Domain" not in cookie
    assert there.headers["Referrer-Policy"] == "no-referrer"
    redirect_uri = dict(parse_qsl(urlsplit(there.headers["Location"]).query))["redirect_uri"]
    assert redirect_uri == f"{public_url}{CALLBACK}"
