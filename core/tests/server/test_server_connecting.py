"""The addresses for browsers, when something is wrong; signing in itself: tests/end_to_end and tests/attacks."""

from __future__ import annotations

import pytest
import requests
from cdp_bridge.errors import TransientError
from cdp_bridge.server.web.access import STRANGERS_BURST

from .conftest import Api


def test_who_cannot_be_connected_is_told_so(api: Api) -> None:
    for path, name in (("connections/crm", "source-shop"), ("destinations/ads", "destination-shop")):
        answer = api.call("POST", f"/v1/{path}/connect", idempotency_key="again")
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["problem"] == f"nobody can sign in for {name}"
        answer = api.call("POST", f"/v1/{path}/connect/confirm", {"code": "x"})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["problem"] == f"nobody can sign in for {name}"
    assert api.call("POST", "/v1/destinations/none/connect").status_code == 404
    assert api.call("POST", "/v1/destinations/none/connect/confirm", {"code": "x"}).status_code == 404


@pytest.mark.parametrize("body", [None, {}, {"code": 1}, {"code": "x" * 51}, {"code": "x", "nonsense": 1}])
def test_a_confirmation_is_a_code(api: Api, body: object) -> None:
    assert api.call("POST", "/v1/destinations/ads/connect/confirm", body).status_code == 400


@pytest.mark.parametrize(
    "path", ["callback/destination-shop", "start/destination-shop", "start/none", "callback/%3Cb%3E"]
)
@pytest.mark.parametrize(
    "query",
    [
        "",
        "ticket=x",
        "ticket=%ff%00",
        "ticket=a&ticket=b",
        "state=x&code=y",
        "state=%ff%00&code=",
        "error=access_denied",
        "state=<b>&error=<script>",
        "state=a&state=b",
    ],
)
def test_a_sign_in_that_was_not_begun_here_is_a_page_and_nothing_more(api: Api, path: str, query: str) -> None:
    answer = requests.get(f"{api.url}/oauth/{path}?{query}")
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "<h1>Not connected</h1>" in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "Set-Cookie" not in answer.headers
    assert "script" not in answer.text
    assert requests.post(f"{api.url}/oauth/{path}?{query}").status_code == 405


def test_a_store_that_is_away_is_not_the_persons_fault(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise TransientError("the store is away")

    monkeypatch.setattr(api.store.secrets, "pop", away)
    answer = requests.get(f"{api.url}/oauth/callback/destination-shop?state=x")
    assert (answer.status_code, "the store is away" in answer.text) == (502, True)


def test_nobody_tries_out_states(api: Api) -> None:
    with requests.Session() as session:
        found = [session.get(f"{api.url}/oauth/callback/x").status_code for _ in range(int(STRANGERS_BURST) + 5)]
    assert 429 in found
