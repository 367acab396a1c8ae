"""Images on a real engine, which scripts/images installs and starts where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.launch.hardening import INTERFACE
from cdp_bridge.launch.origins import origins
from cdp_bridge.model import Connector
from cdp_bridge.registry import Registry
from cdp_bridge.settings import load, seal
from cdp_bridge.transport import Remote

import docker

BOXED = Path(__file__).with_name("boxed")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """All plugins, and the package of these tests."""
    sys.path.insert(0, str(BOXED))
    yield Registry([*entry_points(group="cdp_bridge"), EntryPoint("boxed", "boxed", "cdp_bridge")])
    sys.path.remove(str(BOXED))


@pytest.fixture(scope="session")
def images() -> None:
    """The images of the connectors that these tests start."""
    engine = subprocess.run(["docker", "info"], capture_output=True, check=False).returncode if _has_docker() else 1
    if engine and os.geteuid():
        pytest.skip("NO CONTAINER WAS TESTED: no Docker engine answers, and only root can install one")
    made = make_images(str(BOXED), "destination-meta")
    assert made.returncode == 0, made.stderr


def make_images(*names: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/images to its end."""
    return subprocess.run(["scripts/images", *names], cwd=ROOT, capture_output=True, text=True, check=False)


def _has_docker() -> bool:
    return any((Path(folder) / "docker").exists() for folder in os.get_exec_path())


@pytest.fixture
def engine(images: None) -> Iterator[docker.APIClient]:
    """The engine, on which nothing of ours is left at the end."""
    client = docker.from_env()
    yield client.api
    assert ours(client.api) == []
    rules = subprocess.run(["iptables", "-w", "-S", "INPUT"], capture_output=True, text=True, check=False).stdout
    assert INTERFACE not in rules
    client.close()


def ours(engine: docker.APIClient) -> list[str]:
    """Containers and networks that launchers have made."""
    filters = {"label": "cdp-bridge.owner"}
    found: list[Any] = engine.containers(all=True, filters=filters) + engine.networks(filters=filters)
    return [one["Id"] for one in found]


@pytest.fixture
def boxed(registry: Registry) -> Connector:
    """The connector of these tests."""
    return registry.connector("source-boxed")


@pytest.fixture
def remote(engine: docker.APIClient, registry: Registry, boxed: Connector) -> Iterator[Callable[..., Remote]]:
    """The connector in a container, by its settings."""
    made: list[Remote] = []

    def make(launcher: str = "docker", **raw: Any) -> Remote:
        settings = load(boxed.settings, raw)
        start = partial(registry.launcher(launcher).start, run="r1", hosts=origins(settings))
        made.append(Remote(start, boxed, seal(settings)))
        return made[-1]

    yield make
    for one in made:
        one.close()
