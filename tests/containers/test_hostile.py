"""A connector that wants out stays in its box, and its run ends with the reason."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.connectors.transport import Remote
from cdp_bridge.errors import BridgeError, ConfigError
from cdp_bridge.model import ReadRequest
from cdp_bridge.server.application import application
from cdp_bridge.server.service import configured, listen
from cdp_bridge.store import Store

import docker

from .conftest import BOXED, ours

Boxed = Callable[..., Remote]


@pytest.fixture
def patient(registry: Registry, tmp_path: Path) -> Iterator[None]:
    """An API in this process, which answers within a second all the while."""
    seconds: list[float] = []
    over = threading.Event()

    def ask(url: str, key: str) -> None:
        with requests.Session() as session:
            while not over.wait(0.05):
                began = time.monotonic()
                session.get(url, headers={"Authorization": f"Bearer {key}"}).raise_for_status()
                seconds.append(time.monotonic() - began)

    with Store.open(f"sqlite:///{tmp_path}/store.db") as store, listen("127.0.0.1", 0) as listener:
        key = store.api_keys.create("watcher", "viewer")[1]
        api = configured(application(store, registry))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/runs"
        threads = [
            threading.Thread(target=api.run, args=([listener],)),
            threading.Thread(target=ask, args=(url, key)),
        ]
        for thread in threads:
            thread.start()
        yield
        over.set()
        threads[1].join()
        api.should_exit = True
        threads[0].join()
    assert len(seconds) >= 5, "too few questions"
    assert max(seconds) < 1


@pytest.mark.parametrize(
    ("misdeed", "limits", "ending"),
    [
        ("fork", {"SECONDS": "3", "PROCESSES": "20"}, "was stopped at its time limit of 3 s"),
        ("memory", {"MEMORY": "200"}, "needed more than its 200 MB of memory"),
        ("chatter", {"LOG": "1"}, "wrote more than 1 MB to its log"),
        ("deaf", {"SECONDS": "2"}, "was stopped at its time limit of 2 s"),
        ("die", {}, "was ended by SIGKILL"),
    ],
)
@pytest.mark.usefixtures("patient")
def test_it_ends_within_its_limit_and_says_why(
    remote: Boxed, monkeypatch: pytest.MonkeyPatch, misdeed: str, limits: dict[str, str], ending: str
) -> None:
    for name, value in limits.items():
        monkeypatch.setenv(f"CDP_BRIDGE_DOCKER_{name}", value)
    with pytest.raises(BridgeError) as gone:
        remote(misdeed=misdeed).check(None)
    assert str(gone.value) == f"the process of source-boxed {ending}"


def test_endless_people_are_cut_off(remote: Boxed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_BRIDGE_DOCKER_OUTPUT", "2")
    with pytest.raises(BridgeError, match="sent more than 2 MB"):
        list(remote(rows=1_000_000_000).read(None, ReadRequest(stream="people")))


def test_it_writes_to_tmp_only_and_no_more_than_fits(remote: Boxed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_BRIDGE_DOCKER_TMP", "20")
    (probe,) = remote(misdeed="disk").check(None)
    found = json.loads(probe.detail)
    assert found["written"] <= 20 * 1024 * 1024
    no_room, not_run, *read_only = found["refused"]
    assert (no_room, not_run) == ("No space left on device", "Permission denied")
    assert read_only == ["Read-only file system"] * 2


def test_it_reaches_no_forbidden_address(remote: Boxed) -> None:
    (probe,) = remote(base_url="http://169.254.169.254", misdeed="call").check(None)
    found = json.loads(probe.detail)
    # The vendor's own host is among them, since its address is not public; link-local is refused although it is named.
    assert (found["direct"], found["name"], set(found["proxied"].values())) == ([], False, {"403"})


def test_a_connector_that_ignores_its_end_is_gone_all_the_same(remote: Boxed, engine: docker.APIClient) -> None:
    held = remote(rows=1, misdeed="deaf")
    pages = held.read(None, ReadRequest(stream="people"))
    next(pages)
    assert len(ours(engine)) == 2
    held.close()
    assert ours(engine) == []


LAUNCHER = """
import sys
sys.path.insert(0, {boxed!r})
from boxed import CONNECTOR
from cdp_bridge.connectors.launch.containers import DockerLauncher
with DockerLauncher().start(CONNECTOR) as channel:
    print("started", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_launcher_leaves_is_swept_by_the_next_start(remote: Boxed, engine: docker.APIClient) -> None:
    program = LAUNCHER.format(boxed=str(BOXED))
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as launcher:
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "started\n"
        left = ours(engine)
        launcher.kill()
    assert len(left) == 2
    assert remote().check(None) == []
    assert not set(left) & set(ours(engine))


def test_an_engine_or_an_image_that_is_not_there_is_named(remote: Boxed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_BRIDGE_DOCKER_IMAGE", "nobody-made/{connector}")
    with pytest.raises(
        ConfigError, match=r"no image nobody-made/source-boxed. Make it with scripts/images source-boxed"
    ):
        remote().check(None)
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(ConfigError, match="no Docker engine answers"):
        remote().check(None)
