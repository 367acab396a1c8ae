"""Images on a real engine, which scripts/images installs and starts where there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest
import sandbox
from cdp_bridge.connectors.launch.hardening import INTERFACE
from cdp_bridge.connectors.launch.origins import origins
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.connectors.transport import Remote
from cdp_bridge.model import Connector
from cdp_bridge.settings import load, seal

import docker

BOXED = Path(__file__).with_name("boxed")
ROOT = Path(__file__).parents[2]
PEOPLE = 300
BRIDGE = """
connections:
  - name: people
    cdp_provider: source-boxed
    api_credentials: {{base_url: "{people}"}}
destinations:
  - name: meta
    connector: destination-meta
    settings: {{access_token: env:META_TOKEN, ad_account_id: act_1001, base_url: "{meta}"}}
mappings:
  people:
    - {{omniads_field: user_id, cdp_field: id}}
    - {{omniads_field: email, cdp_field: email}}
audiences:
  - {{name: "{name}", connection: people, segment: vip, destination: meta, mapping: people, removal_limit: 1}}
"""


class People(ThreadingHTTPServer):
    """Serves whoever is in the segment now."""

    segment: Sequence[dict[str, str]] = ()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, People)
        body = json.dumps(list(self.server.segment)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


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


@pytest.fixture
def people() -> Iterator[People]:
    with People(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sandbox.Sandbox]:
    warehouse = f"duckdb:///{tmp_path_factory.mktemp('twins')}/warehouse.duckdb"
    with sandbox.running(people=PEOPLE, seed=1, warehouse=warehouse) as running:
        yield running
