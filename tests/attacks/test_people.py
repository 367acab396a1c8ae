"""What somebody without the right to see hashes tries to learn about people, bit by bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.entities import Bridge, CDPConnection, DataMapping
from cdp_bridge.testing.configuring import configure

from .conftest import Target

PEOPLE = 64
PREVIEW = {"profile": "meta", "sample": {"connection": "crm", "segment": "vip"}}


def pattern(expression: str) -> list[dict[str, Any]]:
    """Rules that answer one bit about the addresses of people."""
    email = {"omniads_field": "email", "cdp_field": "email", "validation": {"pattern": expression}}
    return [{"omniads_field": "user_id", "cdp_field": "id"}, email]


@pytest.fixture
def shop(target: Target, tmp_path: Path) -> Target:
    """A segment of people, and a saved mapping of them."""
    rows = [f"{number},person.{number}@example.com" for number in range(PEOPLE)]
    (tmp_path / "people.csv").write_text("\n".join(["id,email", *rows]))
    rules = [
        DataMapping(omniads_field=name, cdp_field=field) for name, field in (("user_id", "id"), ("email", "email"))
    ]
    crm = CDPConnection(name="crm", cdp_provider="source-file", api_credentials={"path": str(tmp_path / "people.csv")})
    configure(target.store, Bridge(connections=(crm,), mappings={"people": tuple(rules)}))
    return target


def test_rules_of_ones_own_ask_nothing_of_people(shop: Target) -> None:
    answer = shop.call("POST", "/v1/mappings/preview", PREVIEW | {"rules": pattern("^person.7")}, role="operator")
    assert answer.status_code == 403


def test_saved_rules_count_people_in_tens(shop: Target) -> None:
    bodies = []
    for one in ("^person[.]7@", "^nobody"):
        rules = {"name": "asks", "rules": pattern(one)}
        shop.call("POST", "/v1/mappings", rules, role="operator")
        bodies.append(shop.call("POST", "/v1/mappings/preview", PREVIEW | {"mapping": "asks"}, role="operator").json())
        etag = shop.call("GET", "/v1/mappings/asks").headers["ETag"]
        shop.remove("/v1/mappings/asks", etag)
    assert bodies[0] == bodies[1], "whether one of the people has that address"
    assert bodies[0]["records"] == []
    assert bodies[0]["counts"]["records"] == 60


def test_a_small_segment_is_not_counted(shop: Target, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id,email\n1,ada@example.com\n")
    answer = shop.call("POST", "/v1/mappings/preview", PREVIEW | {"mapping": "people"}, role="operator")
    assert answer.status_code == 422
    assert "fewer than 50 people" in answer.text


def test_questions_about_people_are_few_and_audited(shop: Target) -> None:
    body = PREVIEW | {"mapping": "people"}
    statuses = [shop.call("POST", "/v1/mappings/preview", body, role="operator").status_code for _ in range(32)]
    assert statuses == [200] * 30 + [429] * 2
    shop.call("GET", "/v1/dead-letters", role="operator").raise_for_status()
    actions = [(entry["action"], entry["kind"], entry["name"]) for entry in shop.entries()]
    assert actions.count(("preview", "segment", "crm/vip")) == 30
    assert ("read", "dead letters", "") in actions


def test_a_wrong_key_is_audited_but_not_each_time(target: Target) -> None:
    target.keys["guessed"] = "cdpb_guessed"
    for _ in range(20):
        assert target.call("GET", "/v1/runs", role="guessed").status_code == 401
    refused = [entry for entry in target.entries() if entry["action"] == "refuse"]
    assert [entry["who"] for entry in refused] == ["127.0.0.1"]
