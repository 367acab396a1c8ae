"""What the process of a connector gets of the environment: no secret of the bridge, and all that leads to its hosts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cdp_bridge.connectors.launch.local import LocalLauncher
from cdp_bridge.http import network
from cdp_bridge.http.allowed_hosts import VARIABLE
from cdp_bridge.model import Connector
from msgspec import Struct

WAY = (VARIABLE, *network.PROXIES, *network.AUTHORITIES)


def test_a_process_gets_what_leads_to_its_hosts_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Callable[[Callable[[], object]], object]
) -> None:
    shown = tmp_path / "shown"
    program = tmp_path / "source-shown"
    program.write_text(f"#!/bin/sh\nenv -0 > {shown}.part && mv {shown}.part {shown}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("CDP_BRIDGE_KEYRING", "/secret/keyring")
    monkeypatch.setenv("SHOP_TOKEN", "hunter2")
    for name in WAY:
        monkeypatch.setenv(name, "shop.example")
    connector = Connector(name="source-shown", kind="source", settings=Struct, load="x")
    with LocalLauncher().start(connector):
        until(shown.exists)
    given = dict(line.partition("=")[::2] for line in shown.read_text().rstrip("\0").split("\0"))
    assert {name: given.get(name) for name in WAY} == dict.fromkeys(WAY, "shop.example")
    assert not {"CDP_BRIDGE_KEYRING", "SHOP_TOKEN"} & given.keys()
