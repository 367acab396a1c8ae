"""Connectors that the API asks, in this process and in one of their own: whatever they do costs one answer."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from cdp_bridge.connectors.launch import local
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Bridge, CDPConnection, DataMapping, DestinationAccount
from cdp_bridge.server.web import connector_calls
from cdp_bridge.store import Store
from cdp_bridge.testing.configuring import configure
from cdp_bridge.testing.vendor import TOKEN, Vendor
from hostile.misdeeds import PERSON, PHONE

from .conftest import Api, serving

RULES = (DataMapping(omniads_field="user_id", cdp_field="id"), DataMapping(omniads_field="email", cdp_field="emails"))
SAMPLE = {"profile": "meta", "mapping": "people", "sample": {"connection": "crm", "segment": "vip"}}
TABOO = (PERSON, PHONE, TOKEN, "person.", "Traceback")


class Hostile:
    """An API whose only connection and destination do as they are told."""

    def __init__(self, api: Api, vendor: Vendor) -> None:
        self.api, self.vendor = api, vendor
        self.told()

    def told(self, misdeed: str = "", at: str = "check") -> None:
        settings = {"token": TOKEN, "base_url": self.vendor.url, "misdeed": misdeed, "at": at}
        configure(
            self.api.store,
            Bridge(
                connections=(CDPConnection(name="crm", cdp_provider="source-hostile", api_credentials=settings),),
                destinations=(
                    DestinationAccount(name="ads", connector="destination-hostile", settings=settings),
                    DestinationAccount(name="file", connector="destination-file", settings={"path": "x"}),
                ),
                mappings={"people": RULES},
            ),
        )

    def ask(self, path: str, body: Any = None) -> tuple[int, str]:
        """Status and what is said, which names nobody."""
        answer = self.api.call("POST", f"/v1/{path}", body)
        assert not any(word in answer.text for word in TABOO), answer.text
        return answer.status_code, answer.text


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor().running() as running:
        yield running


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Few connectors at once, and little time for processes to end; that for answers is left to the tests."""
    monkeypatch.setattr(connector_calls, "MAX_CALLS", 2)
    monkeypatch.setattr(local, "GRACE", 0.2)
    return monkeypatch


@pytest.fixture
def here(limits: pytest.MonkeyPatch, tmp_path: Path, vendor: Vendor) -> Iterator[Hostile]:
    with Store.open(f"sqlite:///{tmp_path}/here.db") as store, serving(store, Registry()) as api:
        yield Hostile(api, vendor)


@pytest.fixture
def apart(limits: pytest.MonkeyPatch, tmp_path: Path, vendor: Vendor) -> Iterator[Hostile]:
    plugins = Registry()
    launcher = plugins.launcher("local")
    with Store.open(f"sqlite:///{tmp_path}/apart.db") as store, serving(store, plugins, launcher) as api:
        yield Hostile(api, vendor)


@pytest.fixture(params=["here", "apart"])
def hostile(request: pytest.FixtureRequest) -> Hostile:
    found: Hostile = request.getfixturevalue(request.param)
    return found


def test_a_good_one_is_asked_wherever_it_works(hostile: Hostile) -> None:
    checked = hostile.api.call("POST", "/v1/connections/crm/check").json()
    assert checked == {
        "passed": True,
        "probes": [{"name": "token", "passed": True, "detail": "lists can be read", "remedy": ""}],
    }
    assert hostile.api.call("POST", "/v1/destinations/ads/check").json() == checked
    discovered = hostile.api.call("POST", "/v1/connections/crm/discover").json()
    assert [one["name"] for one in discovered["streams"]] == ["people"]
    previewed = hostile.api.call("POST", "/v1/mappings/preview", SAMPLE, role="seer").json()["records"]
    assert [len(one["values"]) > 0 for one in previewed] == [True] * len(hostile.vendor.people)


@pytest.mark.parametrize(
    ("misdeed", "why"),
    [
        ("raises MemoryError", "source-hostile failed with MemoryError; this is a fault in the connector"),
        ("tells all in a bug", "source-hostile failed with RuntimeError; this is a fault in the connector"),
        ("gives None", "source-hostile failed with TypeError; this is a fault in the connector"),
    ],
)
def test_one_that_fails_is_a_problem_that_names_it(hostile: Hostile, misdeed: str, why: str) -> None:
    for at, path, body in (
        ("discover", "connections/crm/discover", None),
        ("read", "mappings/preview", SAMPLE),
    ):
        hostile.told(misdeed, at)
        status, said = hostile.ask(path, body)
        assert (status, why in said) == (502, True), said
    hostile.told(misdeed, "check")
    status, said = hostile.ask("connections/crm/check")
    assert (status, why in said, '"passed":false' in said) == (200, True, True), said


def test_one_that_dies_does_so_alone(apart: Hostile) -> None:
    why = "the process of source-hostile was ended by SIGKILL"
    for at, path, body in (
        ("discover", "connections/crm/discover", None),
        ("read", "mappings/preview", SAMPLE),
        ("item", "mappings/preview", SAMPLE),
    ):
        apart.told("dies", at)
        status, said = apart.ask(path, body)
        assert (status, why in said) == (502, True), said
    apart.told("dies", "check")
    status, said = apart.ask("connections/crm/check")
    assert (status, why in said) == (200, True), said
    assert apart.api.get("/v1/connections/crm")["connection_status"] == "failed"


@pytest.mark.parametrize(
    ("at", "path", "body"),
    [("check", "connections/crm/check", None), ("read", "mappings/preview", SAMPLE)],
    ids=["check", "preview"],
)
def test_one_that_hangs_is_left_in_time_and_others_are_answered_meanwhile(
    hostile: Hostile, limits: pytest.MonkeyPatch, at: str, path: str, body: Any
) -> None:
    hostile.told("hangs", at)
    limits.setattr(connector_calls, "SECONDS", 1.0)
    with ThreadPoolExecutor() as pool:
        hung = pool.submit(hostile.ask, path, body)
        while not hung.done():
            assert hostile.api.get("/v1/connections")["items"]
        status, said = hung.result()
    assert (status, "source-hostile has not answered within 1 s" in said) == (504, True), said
    if at == "check":
        assert hostile.api.get("/v1/connections/crm")["connection_status"] == "failed"


def test_one_that_hung_is_asked_again_once_its_process_has_ended(apart: Hostile, limits: pytest.MonkeyPatch) -> None:
    apart.told("hangs", "discover")
    limits.setattr(connector_calls, "SECONDS", 1.0)
    assert apart.ask("connections/crm/discover")[0] == 504
    limits.setattr(connector_calls, "SECONDS", 60.0)
    apart.told()
    while (answer := apart.ask("connections/crm/discover"))[0] == 504:
        assert "still busy with an earlier call" in answer[1]
    assert answer[0] == 200


def test_one_that_hangs_here_is_asked_nothing_more_and_leaves_room_for_few(
    limits: pytest.MonkeyPatch, here: Hostile
) -> None:
    limits.setattr(connector_calls, "SECONDS", 0.1)
    here.told("hangs", "discover")
    assert here.ask("connections/crm/discover")[0] == 504
    limits.setattr(connector_calls, "SECONDS", 60.0)
    here.told()
    status, said = here.ask("connections/crm/discover")
    assert (status, "still busy" in said) == (504, True), said
    here.told("hangs", "check")
    limits.setattr(connector_calls, "SECONDS", 0.1)
    assert here.ask("destinations/ads/check")[0] == 504
    answer = here.api.call("POST", "/v1/destinations/file/check")
    assert (answer.status_code, answer.json()["detail"]) == (503, "too many connectors are being called at once")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_server_that_ends_waits_for_nobody(apart: Hostile) -> None:
    apart.told("hangs", "discover")
    with ThreadPoolExecutor() as pool:
        hung = pool.submit(apart.ask, "connections/crm/discover")
        while not _processes("source-hostile"):
            assert not hung.done()
        apart.api.connector_calls.close()
        status, said = hung.result()
    assert (status, "this server ends" in said) == (504, True), said
    while _processes("source-hostile"):
        pass
    assert apart.ask("connections/crm/discover")[0] == 504


def _processes(name: str) -> list[psutil.Process]:
    # What ends meanwhile has no name any more, and raises no error here.
    below = {child.pid for child in psutil.Process().children(recursive=True)}
    return [one for one in psutil.process_iter(["name"]) if one.pid in below and one.info["name"] == name]
