"""What an administrator's key, which is no shell, tries to reach of the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.entities import Bridge, CDPConnection
from cdp_bridge.store import Store
from cdp_bridge.testing.configuring import configure

from .conftest import Target, attacked

SEGMENT = {"public_api_token": "token"}


def connection(provider: str, credentials: dict[str, Any]) -> dict[str, Any]:
    return {"name": "crm", "cdp_provider": provider, "api_credentials": credentials}


def airbyte(connector: dict[str, Any]) -> dict[str, Any]:
    return connection("source-airbyte", {"connector": connector, "config": {}})


ATTACKS = {
    "a program": airbyte({"type": "executable", "command": "/bin/sh", "arguments": ["-c", "id"]}),
    "a name on PATH": airbyte({"type": "executable", "command": "sh"}),
    "a manifest": airbyte({"type": "manifest", "path": "/etc/passwd"}),
    "a runner": airbyte({"type": "manifest", "path": "/etc/passwd", "runner": "/bin/sh"}),
    "an image": airbyte({"type": "image", "image": "alpine"}),
    "a name that is an image": connection("docker:alpine", {}),
    "a file": connection("source-file", {"path": "/etc/passwd", "format": "csv"}),
    "files": connection("source-file", {"path": "/etc/*", "format": "csv"}),
    "a database file": connection("source-segment", SEGMENT | {"warehouse": {"url": "duckdb:////etc/passwd"}}),
    "a database file without slashes": connection("source-segment", SEGMENT | {"warehouse": {"url": "sqlite:x"}}),
    "a socket": connection("source-segment", SEGMENT | {"warehouse": {"url": "postgresql:///postgres"}}),
    "a socket by parameter": connection(
        "source-segment", SEGMENT | {"warehouse": {"url": "postgresql://db.example.com/x?host=/run/postgresql"}}
    ),
}
FOLDER = {"name": "out", "connector": "destination-file", "settings": {"path": "/etc/cron.d"}}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_connection_names_nothing_of_the_machine(target: Target, attack: str) -> None:
    answer = target.call("POST", "/v1/connections", ATTACKS[attack])
    assert answer.status_code == 422, answer.text
    assert "of the server" in answer.text or "no source named docker" in answer.text
    assert target.call("GET", "/v1/connections").json()["items"] == []


def test_a_destination_makes_no_folder(target: Target) -> None:
    answer = target.call("POST", "/v1/destinations", FOLDER)
    assert (answer.status_code, answer.json()["errors"][0]["place"]) == (422, "settings.path")


def test_what_bridge_yaml_set_may_stay_and_not_change(target: Target, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id\n1\n")
    given = {"path": str(tmp_path / "people.csv")}
    configure(
        target.store,
        Bridge(connections=(CDPConnection(name="crm", cdp_provider="source-file", api_credentials=given),)),
    )
    same = connection("source-file", given | {"id_column": "id"})
    assert target.replace("/v1/connections/crm", same).status_code == 200
    for other in ("/etc/passwd", f"{tmp_path}/../people.csv", f"{tmp_path}/*"):
        assert target.replace("/v1/connections/crm", connection("source-file", {"path": other})).status_code == 422


def test_what_the_server_lists_may_be_named(store: Store, tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    exports.mkdir()
    (exports / "out").symlink_to("/etc")
    (tmp_path / "exports-of-others").mkdir()
    with attacked(store, allowed=(str(exports), "/opt/source/bin/source")) as target:
        for good in (f"{exports}/people.csv", f"{exports}/*/people.csv", str(exports)):
            answer = target.call("POST", "/v1/connections", connection("source-file", {"path": good}))
            assert answer.status_code == 201, answer.text
            target.remove("/v1/connections/crm", answer.headers["ETag"])
        for bad in (
            f"{exports}/../x.csv",
            f"{exports}/out/passwd",
            f"{exports}-of-others/x.csv",
            f"{tmp_path}/*/x.csv",
        ):
            answer = target.call("POST", "/v1/connections", connection("source-file", {"path": bad}))
            assert answer.status_code == 422, bad
        program = {"type": "executable", "command": "/opt/source/bin/source"}
        assert target.call("POST", "/v1/connections", airbyte(program | {"arguments": ["-c"]})).status_code == 422
        assert target.call("POST", "/v1/connections", airbyte(program)).status_code == 201
