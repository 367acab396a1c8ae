"""Segments as they appear in the CDP: from the twin of Segment and from files, seen without anybody asking."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import sandbox
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Bridge, CDPConnection
from cdp_bridge.secrets import Resolver
from cdp_bridge.server import service
from cdp_bridge.server.api.segments import look
from cdp_bridge.server.web.connector_calls import ConnectorCalls
from cdp_bridge.store import Store
from cdp_bridge.testing.configuring import configure

from .conftest import Api, serving

TOKEN = "sandbox-papi-token"


@pytest.fixture(scope="module")
def twin() -> Iterator[sandbox.Sandbox]:
    with sandbox.running(people=50) as box:
        yield box


class Looked:
    """An API whose store is told what the CDPs list; `look` is what `serve` does every 15 minutes."""

    def __init__(self, api: Api, folder: Path, segment: str | None) -> None:
        self.api, self.file = api, folder / "people.csv"
        self.write("vip", "vip", "new")
        account = {"public_api_token": TOKEN, "base_url": segment}
        files = {"path": str(self.file), "segment_column": "tier"}
        connections = (
            CDPConnection(name="cdp", cdp_provider="source-segment", api_credentials=account),
            CDPConnection(name="files", cdp_provider="source-file", api_credentials=files),
        )
        configure(api.store, Bridge(connections=connections))
        self.look()

    def write(self, *tiers: str) -> None:
        self.file.write_text("\n".join(["id,tier", *(f"u{number},{tier}" for number, tier in enumerate(tiers))]))

    def look(self) -> None:
        look(self.api.store, ConnectorCalls(Registry(), Resolver()))

    def listed(self, query: str) -> dict[str, Any]:
        return {one["segment_id"]: one for one in self.api.all(f"/v1/segments?limit=2&{query}")}


@pytest.fixture
def looked(tmp_path: Path, twin: sandbox.Sandbox) -> Iterator[Looked]:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store, serving(store, Registry()) as api:
        yield Looked(api, tmp_path, twin.segment)


def test_all_that_segment_lists_is_there_with_its_size(looked: Looked, twin: sandbox.Sandbox) -> None:
    (space,) = _segment(twin, "/spaces?pagination.count=200")["spaces"]
    audiences = _segment(twin, f"/spaces/{space['id']}/audiences?pagination.count=200")["audiences"]
    found = looked.listed("connection=cdp")
    assert {name: (one["segment_name"], one["member_count"]) for name, one in found.items()} == {
        one["key"]: (one["name"], (one.get("size") or {}).get("count")) for one in audiences
    }
    assert len(found) > 3
    assert any(one["member_count"] for one in found.values())


def test_they_come_by_name_and_are_found_by_part_of_it(looked: Looked) -> None:
    everything = looked.api.all("/v1/segments?limit=2")
    names = [one["segment_name"] for one in everything]
    assert names == sorted(names, key=str.casefold)
    assert len({(one["connection"], one["segment_id"]) for one in everything}) == len(names)
    assert set(looked.listed("connection=files&name=VI")) == {"vip"}
    assert looked.listed("name=nobody") == {}


def test_a_segment_that_is_gone_is_marked_until_it_is_back(looked: Looked) -> None:
    assert {name: one["member_count"] for name, one in looked.listed("connection=files").items()} == {
        "vip": 2,
        "new": 1,
    }
    looked.write("vip", "other")
    looked.look()
    found = looked.listed("connection=files")
    assert {name for name, one in found.items() if one["gone_since"]} == {"new"}
    assert (found["vip"]["member_count"], found["other"]["member_count"]) == (1, 1)
    looked.look()
    assert looked.listed("connection=files") == found
    looked.write("vip", "new")
    looked.look()
    assert {name for name, one in looked.listed("connection=files").items() if one["gone_since"]} == {"other"}


def test_an_account_that_cannot_be_asked_changes_nothing_and_keeps_nobody_else_waiting(looked: Looked) -> None:
    before = looked.listed("connection=files")
    looked.file.unlink()
    bridge = looked.api.store.bridge()
    configure(looked.api.store, Bridge(connections=tuple(reversed(bridge.connections))))
    looked.look()
    assert looked.listed("connection=files") == before
    assert all(not one["gone_since"] for one in looked.listed("connection=cdp").values())


def test_a_new_segment_appears_without_anybody_asking(looked: Looked) -> None:
    stop = threading.Event()
    asking = ConnectorCalls(Registry(), Resolver())
    repeated = threading.Thread(
        target=service._repeat, args=(lambda: look(looked.api.store, asking), 0.05, stop), daemon=True
    )
    repeated.start()
    looked.write("vip", "brand new")
    while "brand new" not in looked.listed("connection=files"):
        assert repeated.is_alive()
    stop.set()
    repeated.join()


def _segment(twin: sandbox.Sandbox, path: str) -> Any:
    answer = requests.get(f"{twin.segment}{path}", headers={"Authorization": f"Bearer {TOKEN}"})
    return answer.json()["data"]
