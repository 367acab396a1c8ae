"""The connectors of docs/writing-a-connector.md, installed and used; its hooks and names held against the code."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cdp_bridge import hooks, sdk

PAGE = (Path(__file__).parents[2] / "docs" / "writing-a-connector.md").read_text()
Bridge = Callable[..., Any]


def member(name: str, agreed: bool = True, **more: Any) -> dict[str, Any]:
    return {"id": f"u-{name}", "emails": [f" {name.title()}@example.com"], "agreed": agreed, **more}


def digest(name: str) -> str:
    return hashlib.sha256(f"{name}@example.com".encode()).hexdigest()


def held(club: Any) -> list[list[str]]:
    (members,) = club.lists.values()
    return sorted(members.values())


def test_the_list_becomes_and_stays_the_tier(club: Any, configure: Callable[..., None], bridge: Bridge) -> None:
    club.tiers["gold"] = [member(name) for name in ("ada", "bob", "cyd")] + [member("dan", agreed=False)]
    club.busy = 1
    configure()
    bridge("apply", "-f", "bridge.yaml", "--yes")
    (log,) = bridge("sync", "gold", "--json")
    assert (log["status"], log["adds"], log["funnel"]["dropped"]) == ("succeeded", 3, {"no_consent:advertising": 1})
    assert held(club) == sorted([digest(name)] for name in ("ada", "bob", "cyd"))

    club.calls.clear()
    (log,) = bridge("sync", "gold", "--json")
    assert (log["status"], log["membership_calls"]) == ("succeeded", 0)
    assert all(call == "GET /v1/members" for call in club.calls)

    club.tiers["gold"] = [member("ada"), member("bob"), member("eve")]
    (log,) = bridge("sync", "gold", "--approve-removals", "--json")
    assert (log["adds"], log["removes"]) == (1, 1)
    assert held(club) == sorted([digest(name)] for name in ("ada", "bob", "eve"))
    assert len(club.lists) == 1


def test_a_refused_member_is_counted_and_the_others_are_in(
    club: Any, configure: Callable[..., None], bridge: Bridge
) -> None:
    club.tiers["gold"] = [member("ada"), member("bob")]
    club.refuse = {digest("bob")}
    configure()
    bridge("apply", "-f", "bridge.yaml", "--yes")
    (log,) = bridge("sync", "gold", "--rejection-limit", "1", "--json")
    assert (log["status"], log["rejected"]) == ("partial", 1)
    assert held(club) == [[digest("ada")]]


def test_checks_dry_run_and_list(club: Any, configure: Callable[..., None], bridge: Bridge) -> None:
    club.tiers["gold"] = [member("ada")]
    configure()
    bridge("apply", "-f", "bridge.yaml", "--yes")
    for connector, connection in (("source-acme", "club"), ("destination-acme", "lists")):
        (probe,) = bridge("check", connector, "--connection", connection, "--json")
        assert probe["passed"]
    (preview,) = bridge("sync", "gold", "--dry-run", "--json")
    assert preview["sample"]["identifiers"] == {"email": [[digest("ada")]]}
    assert club.lists == {}
    names = {one["name"] for one in bridge("connectors", "--json")["connectors"]}
    assert {"source-acme", "destination-acme"} <= names


def test_the_executables_speak_the_protocol(club: Any, executable: Callable[..., str], tmp_path: Path) -> None:
    club.tiers["gold"] = [member("ada"), member("bob"), member("cyd")]
    for package in ("source_acme", "destination_acme"):
        message = json.loads(executable(package, "spec"))
        assert message["spec"]["connectionSpecification"]["properties"]["token"]["airbyte_secret"]
    for token, status in (("env:ACME_TOKEN", "SUCCEEDED"), ("wrong-token", "FAILED")):
        (tmp_path / "settings.json").write_text(json.dumps({"token": token, "base_url": club.url}))
        checked = json.loads(executable("source_acme", "check", "--config", "settings.json"))
        assert checked["connectionStatus"]["status"] == status


def test_function_secret_and_event_of_the_third_package(
    club: Any, configure: Callable[..., None], bridge: Bridge, tmp_path: Path
) -> None:
    club.tiers["gold"] = [member("ada", card="AC-0017"), member("bob", card="none")]
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "token").write_text("acme-token-0123456789\n")
    rule = "cdp_field: card, transformation_rule: acme_card(value)"
    configure({"cdp_field: id": rule, "env:ACME_TOKEN": "acme:token"})
    bridge("apply", "-f", "bridge.yaml", "--yes")
    assert "gold ended: succeeded" in bridge("sync", "gold")
    (run,) = bridge("runs", "--json")
    assert (run["adds"], run["funnel"]["dropped"]) == (1, {"no_user_id": 1})


def test_every_hook_has_a_heading_with_its_arguments() -> None:
    specified = {name: value for name, value in vars(hooks).items() if hasattr(value, f"{hooks.PROJECT}_spec")}
    signatures = {f"{name}{inspect.signature(value)}".replace("'", "") for name, value in specified.items()}
    assert set(re.findall(r"^### `(bridge_.*)`$", PAGE, re.MULTILINE)) == signatures != set()


def test_every_name_of_the_sdk_is_explained() -> None:
    table = PAGE.partition("## Names of the sdk")[2]
    listed = [name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    assert sorted(listed) == sorted(sdk.__all__)
