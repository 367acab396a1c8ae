"""The checks hold for a container as it is started, and each of them can fail."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from cdp_bridge.connectors.launch import containers
from cdp_bridge.connectors.launch.checks import checks
from cdp_bridge.connectors.launch.containers import DockerLauncher
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import Connector

import docker

Facts = list[Any]
OUTSIDE, IMAGE, NETWORK, INSIDE = range(4)


@pytest.fixture
def facts(engine: docker.APIClient, boxed: Connector, monkeypatch: pytest.MonkeyPatch) -> Facts:
    """What the checks of a real container went by."""
    seen: Facts = []
    monkeypatch.setattr(containers, "checks", lambda *given: list(given))
    seen.extend(DockerLauncher().examine(boxed))
    return seen


def put(side: int, *path: Any) -> Callable[[Facts], None]:
    """A change of one fact: the last of `path` is its new value."""

    def change(facts: Facts) -> None:
        *way, name, value = path
        place = facts[side]
        for part in way:
            place = place[part]
        place[name] = value

    return change


WRONG = {
    "user and group are not root": put(OUTSIDE, "Config", "User", "0:0"),
    "no capabilities": put(INSIDE, "capabilities", 1),
    "no new privileges": put(INSIDE, "no_new_privileges", False),
    "seccomp filter": put(INSIDE, "seccomp", 0),
    "root file system is read-only": put(INSIDE, "mounts", "/", ["rw"]),
    "what can be written is limited, and runs nothing": put(INSIDE, "mounts", "/tmp", ["rw", "nosuid", "nodev"]),
    "memory limit, swap included": put(OUTSIDE, "HostConfig", "MemorySwap", -1),
    "processor limit": put(OUTSIDE, "HostConfig", "NanoCpus", 0),
    "process limit": put(OUTSIDE, "HostConfig", "PidsLimit", None),
    "file limit, no core files": put(INSIDE, "cores", 10),
    "not privileged, no namespace of the host": put(OUTSIDE, "HostConfig", "PidMode", "host"),
    "no engine socket": put(INSIDE, "sockets", ["/run/docker.sock"]),
    "nothing of the host is mounted": put(OUTSIDE, "HostConfig", "Binds", ["/:/host"]),
    "a network of its own without a way out": put(NETWORK, "Internal", False),
    "nothing it writes is kept": put(OUTSIDE, "HostConfig", "LogConfig", "Type", "json-file"),
    "image by digest, no shell in it": put(OUTSIDE, "Config", "Image", "source-boxed:latest"),
    "health check": put(IMAGE, "Config", "Healthcheck", None),
    "init, stopped in time": put(OUTSIDE, "HostConfig", "Init", False),
    "labels say whose it is": put(OUTSIDE, "Config", "Labels", {}),
    "no secret in the environment": put(OUTSIDE, "Config", "Env", ["TOKEN=x"]),
    "services of this host cannot be reached": put(INSIDE, "reaches_host", True),
}


def test_all_hold_and_each_fails_alone_when_it_should(facts: Facts) -> None:
    assert [probe.name for probe in checks(*facts) if not probe.passed] == []
    assert [probe.name for probe in checks(*facts)] == list(WRONG)
    for name, spoil in WRONG.items():
        spoiled = copy.deepcopy(facts)
        spoil(spoiled)
        assert [probe.name for probe in checks(*spoiled) if not probe.passed] == [name]


@pytest.mark.parametrize("name", ["source-file", "destination-file", "destination-chaos"])
def test_a_connector_of_local_files_is_not_put_into_a_container(registry: Registry, name: str) -> None:
    launcher = registry.launcher("docker")
    with (
        pytest.raises(ConfigError, match=f"{name}: works with files of this machine, which no container has"),
        launcher.start(registry.connector(name)),
    ):
        pass
