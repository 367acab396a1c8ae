"""Signing in: the code flow, long tokens and introspection."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from .conftest import MetaClient

APP = {"client_id": "sandbox-app", "client_secret": "sandbox-secret"}
BACK = "https://bridge.example/oauth"


def code_of(meta_twin: Any, state: Any = "s1") -> str:
    url = f"{meta_twin.url}/v26.0/dialog/oauth"
    params = {"client_id": "sandbox-app", "redirect_uri": BACK, "state": state, "scope": "ads_management,ads_read"}
    answer = meta_twin.http.get(url, params=params, allow_redirects=False)
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert query["state"] == [state]
    return str(query["code"][0])


def test_code_becomes_a_short_then_a_long_token(meta_twin: MetaClient) -> None:
    code = code_of(meta_twin)
    answer = meta_twin.send("GET", "oauth/access_token", token=None, redirect_uri=BACK, code=code, **APP).json()
    assert (answer["token_type"], answer["expires_in"]) == ("bearer", 3600)
    exchange = {"grant_type": "fb_exchange_token", "fb_exchange_token": answer["access_token"]}
    long = meta_twin.send("GET", "oauth/access_token", token=None, **exchange, **APP).json()
    meta_twin.advance(3601)
    assert meta_twin.send("GET", "act_1001", token=answer["access_token"]).status_code == 400
    assert meta_twin.send("GET", "act_1001", token=long["access_token"]).status_code == 200


def test_code_is_good_once_and_for_its_redirect_only(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    code = code_of(meta_twin)
    elsewhere = {"redirect_uri": "https://evil.example/", "code": code} | APP
    assert refusal(meta_twin.send("GET", "oauth/access_token", token=None, **elsewhere))[1] == 100
    right = {"redirect_uri": BACK, "code": code} | APP
    assert meta_twin.send("GET", "oauth/access_token", token=None, **right).status_code == 200
    assert refusal(meta_twin.send("GET", "oauth/access_token", token=None, **right))[1] == 100


def test_wrong_app_is_refused(
    meta_twin: MetaClient, refusal: Callable[[requests.Response], tuple[int, int, int | None]]
) -> None:
    wrong = APP | {"client_secret": "other", "redirect_uri": BACK, "code": "x"}
    assert refusal(meta_twin.send("GET", "oauth/access_token", token=None, **wrong)) == (400, 101, None)


def test_debug_token(meta_twin: MetaClient) -> None:
    app_token = "sandbox-app|sandbox-secret"
    meta_twin.configure(tokens={"old": {"expires_at": 1, "scopes": ["ads_read"]}})
    good = meta_twin.send("GET", "debug_token", token=app_token, input_token="sandbox-token").json()["data"]
    assert (good["app_id"], good["is_valid"], good["expires_at"]) == ("sandbox-app", True, 0)
    assert "ads_management" in good["scopes"]
    old = meta_twin.send("GET", "debug_token", token=app_token, input_token="old").json()["data"]
    assert (old["is_valid"], old["scopes"]) == (False, ["ads_read"])
    none = meta_twin.send("GET", "debug_token", token=app_token, input_token="none").json()["data"]
    assert none["is_valid"] is False
