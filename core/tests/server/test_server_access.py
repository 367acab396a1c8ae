"""What a caller may see and how often it may ask, and what every answer has; who is let in is in `tests/attacks`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cdp_bridge.server.application import MAX_BODY_BYTES
from cdp_bridge.server.web.access import Rates

from .conftest import Api, SaveDeadLetters


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
