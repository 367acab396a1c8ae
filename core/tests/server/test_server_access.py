"""Every role against every endpoint, and what strangers get."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import requests
from cdp_bridge.server.application import MAX_BODY_BYTES
from cdp_bridge.server.web.access import Rates

from .conftest import Api, SaveDeadLetters

READ = ["viewer", "operator", "admin"]
STEER = ["operator", "admin"]
ADMIN = ["admin"]
# A body that is wrong, so that nothing happens where the role is right.
ENDPOINTS = {
    ("GET", "/v1/connectors"): READ,
    ("GET", "/v1/connectors/{name}"): READ,
    ("GET", "/v1/connections"): READ,
    ("POST", "/v1/connections"): ADMIN,
    ("GET", "/v1/connections/{name}"): READ,
    ("PUT", "/v1/connections/{name}"): ADMIN,
    ("DELETE", "/v1/connections/{name}"): ADMIN,
    ("POST", "/v1/connections/{name}/check"): STEER,
    ("POST", "/v1/connections/{name}/connect"): ADMIN,
    ("POST", "/v1/connections/{name}/connect/confirm"): ADMIN,
    ("POST", "/v1/connections/{name}/discover"): STEER,
    ("POST", "/v1/connections/{name}/pause"): STEER,
    ("POST", "/v1/connections/{name}/resume"): STEER,
    ("GET", "/v1/destinations"): READ,
    ("POST", "/v1/destinations"): ADMIN,
    ("GET", "/v1/destinations/{name}"): READ,
    ("PUT", "/v1/destinations/{name}"): ADMIN,
    ("DELETE", "/v1/destinations/{name}"): ADMIN,
    ("POST", "/v1/destinations/{name}/check"): STEER,
    ("POST", "/v1/destinations/{name}/discover"): STEER,
    ("POST", "/v1/destinations/{name}/connect"): ADMIN,
    ("POST", "/v1/destinations/{name}/connect/confirm"): ADMIN,
    ("GET", "/v1/segments"): READ,
    ("GET", "/v1/audiences"): READ,
    ("POST", "/v1/audiences"): STEER,
    ("GET", "/v1/audiences/{name}"): READ,
    ("PUT", "/v1/audiences/{name}"): STEER,
    ("DELETE", "/v1/audiences/{name}"): STEER,
    ("POST", "/v1/audiences/{name}/sync"): STEER,
    ("GET", "/v1/audiences/{name}/match-estimates"): READ,
    ("POST", "/v1/audiences/{name}/approve-removals"): STEER,
    ("POST", "/v1/audiences/{name}/pause"): STEER,
    ("POST", "/v1/audiences/{name}/resume"): STEER,
    ("GET", "/v1/conversions"): READ,
    ("POST", "/v1/conversions"): STEER,
    ("GET", "/v1/conversions/{name}"): READ,
    ("PUT", "/v1/conversions/{name}"): STEER,
    ("DELETE", "/v1/conversions/{name}"): STEER,
    ("POST", "/v1/conversions/{name}/sync"): STEER,
    ("POST", "/v1/conversions/{name}/pause"): STEER,
    ("POST", "/v1/conversions/{name}/resume"): STEER,
    ("GET", "/v1/mappings"): READ,
    ("POST", "/v1/mappings"): STEER,
    ("POST", "/v1/mappings/preview"): STEER,
    ("GET", "/v1/mappings/{name}"): READ,
    ("PUT", "/v1/mappings/{name}"): STEER,
    ("DELETE", "/v1/mappings/{name}"): STEER,
    ("GET", "/v1/runs"): READ,
    ("GET", "/v1/runs/{run_id}"): READ,
    ("GET", "/v1/runs/{run_id}/events"): READ,
    ("POST", "/v1/runs/{run_id}/cancel"): STEER,
    ("POST", "/v1/runs/{run_id}/retry"): STEER,
    ("GET", "/v1/dead-letters"): STEER,
    ("POST", "/v1/dead-letters/replay"): STEER,
    ("GET", "/v1/suppressions"): READ,
    ("POST", "/v1/suppressions"): STEER,
    ("POST", "/v1/suppressions/remove"): STEER,
    ("GET", "/v1/audit"): ADMIN,
    ("GET", "/metrics"): READ,
    ("GET", "/v1/api-keys"): ADMIN,
    ("POST", "/v1/api-keys"): ADMIN,
    ("DELETE", "/v1/api-keys/{key_id}"): ADMIN,
}


def described(api: Api) -> dict[str, Any]:
    return dict(requests.get(f"{api.url}/docs/openapi.json").json())


def test_the_table_has_every_endpoint(api: Api) -> None:
    found = {(method.upper(), path) for path, methods in described(api)["paths"].items() for method in methods}
    assert found == set(ENDPOINTS)


@pytest.mark.parametrize("role", ["nobody", "viewer", "operator", "admin"])
@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_only_these_roles_are_let_in(api: Api, method: str, path: str, role: str) -> None:
    body = {"nonsense": 1} if method in ("POST", "PUT") else None
    answer = api.call(method, re.sub(r"\{\w+\}", "not-there", path), body, role=role)
    if role in ENDPOINTS[method, path]:
        assert answer.status_code not in (401, 403)
    else:
        assert answer.status_code == (401 if role == "nobody" else 403)
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer cdpb_wrong", "Bearer \xff\xfe"])
def test_no_other_credential_is_taken(api: Api, header: str) -> None:
    answer = api.session.get(f"{api.url}/v1/connectors", headers={"Authorization": header.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_key_that_is_revoked_is_refused_at_once(api: Api) -> None:
    made, text = api.store.api_keys.create("short-lived", "viewer")
    api.keys["short-lived"] = text
    assert api.call("GET", "/v1/connectors", role="short-lived").status_code == 200
    api.store.api_keys.revoke(made.id)
    assert api.call("GET", "/v1/connectors", role="short-lived").status_code == 401


def test_hashes_of_people_are_their_own_permission(api: Api, save_dead_letters: SaveDeadLetters) -> None:
    save_dead_letters(1)
    assert api.get("/v1/dead-letters", role="seer")["items"][0]["member_key"]
    assert [one["member_key"] for one in api.get("/v1/dead-letters")["items"]] == [""]


def test_the_rate_of_a_caller_is_limited() -> None:
    now = [0.0]
    rates = Rates(2.0, 3.0, clock=lambda: now[0])
    assert [rates.wait("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert rates.wait("b") == 0
    now[0] += 0.5
    assert rates.wait("a") == 0
    assert rates.wait("a") == 0.5


@pytest.mark.parametrize("path", ["/v1/connectors", "/v1/none", "/docs", "/v1/mappings/none"])
def test_asvs_14_3_2_nothing_is_cached_and_nothing_is_embedded(api: Api, path: str) -> None:
    headers = api.call("GET", path).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "Server" not in headers


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/json; charset=latin-1", 415),
        ("", 415),
        ("application/json; charset=utf-8", 400),
    ],
)
def test_asvs_4_1_1_a_body_is_taken_only_as_what_it_is(api: Api, kind: str, status: int) -> None:
    answer = api.session.post(
        f"{api.url}/v1/mappings",
        data=b"{",
        headers={"Content-Type": kind, "Authorization": f"Bearer {api.keys['admin']}"},
    )
    assert answer.status_code == status


def test_asvs_2_4_1_a_body_that_is_too_large_is_not_read(api: Api) -> None:
    answer = api.call("POST", "/v1/suppressions", {"values": ["x" * MAX_BODY_BYTES]})
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["remedy"]


def test_every_metric_is_documented(api: Api, save_dead_letters: SaveDeadLetters) -> None:
    save_dead_letters(1)
    found = set(re.findall(r"^# TYPE (\w+) ", api.call("GET", "/metrics", role="viewer").text, re.MULTILINE))
    found = {name for name in found if not name.endswith("_created")}
    page = Path(__file__).parents[3] / "docs/operations.md"
    section = page.read_text(encoding="utf-8").partition("### Metrics")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == found


def test_strangers_who_go_on_asking_are_told_to_wait(api: Api) -> None:
    """Comes last, since it uses up what this address may ask."""
    answers = (api.call("GET", "/v1/connectors", role="nobody") for _ in range(2_000))
    limited = next(answer for answer in answers if answer.status_code == 429)
    assert int(limited.headers["Retry-After"]) >= 1
    assert api.call("GET", "/v1/connectors").status_code == 200
