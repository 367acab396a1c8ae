"""Any image that speaks the Airbyte protocol is a connector by the name `docker:IMAGE`."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge import configuration
from cdp_bridge.connectors.probing import check
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.secrets import Resolver
from cdp_bridge.store import Store
from cdp_bridge.sync.run import open_run
from cdp_bridge.sync.session import held
from cdp_bridge.testing.configuring import configure

import docker

from .conftest import ours

SOURCE, DESTINATION = "docker:cdp-bridge-source-boxed", "docker:cdp-bridge-destination-posting"
TOKEN = "the-token-of-posting-7f3a"
ROWS = 40
BRIDGE = """
connections:
  - name: people
    cdp_provider: "{source}"
    api_credentials: {{config: {{rows: {rows}}}, members: {{stream: people}}}}
destinations:
  - name: anybody
    connector: "{destination}"
    settings: {{config: {{url: "{url}"}}, secrets: {{token: env:POSTING_TOKEN}}}}
mappings:
  people:
    - {{omniads_field: user_id, cdp_field: id}}
    - {{omniads_field: email, cdp_field: email}}
audiences:
  - {{name: all, connection: people, segment: all, destination: anybody, mapping: people}}
"""


class Mailbox(ThreadingHTTPServer):
    """Keeps what is posted, and what the engine says of whoever posts it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.messages: list[Any] = []
        self.senders: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Mailbox)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Authorization"] == TOKEN
        engine = docker.from_env().api
        running = engine.containers(filters={"label": f"cdp-bridge.connector={DESTINATION}"})
        self.server.senders += [engine.inspect_container(one["Id"]) for one in running]
        engine.close()
        self.server.messages.append(json.loads(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def mailbox(engine: docker.APIClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    folder = Path(__file__).with_name("posting")
    command = ["docker", "build", "--quiet", "--tag", DESTINATION.removeprefix("docker:"), str(folder)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    monkeypatch.setenv("POSTING_TOKEN", TOKEN)
    with Mailbox() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.usefixtures("no_network_variables")
def test_people_go_from_one_image_to_another(mailbox: Mailbox, engine: docker.APIClient, tmp_path: Path) -> None:
    registry = Registry()
    text = BRIDGE.format(source=SOURCE, destination=DESTINATION, rows=ROWS, url=mailbox.url)
    (tmp_path / "bridge.yaml").write_text(text)
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        configure(store, configuration.load(tmp_path / "bridge.yaml", registry))
        with held(store, "all") as lease:
            activation, launcher = store.bridge().audiences[0], registry.launcher("docker")
            with open_run(store, registry, activation, launcher=launcher, lease=lease) as run:
                log = run.sync()
    assert (log.status, log.adds, log.error) == ("succeeded", ROWS, "")
    (records,) = mailbox.messages
    assert len({record["key"] for record in records}) == ROWS
    assert all(len(record["email"][0]) == 64 for record in records)
    (sender,) = mailbox.senders
    host, labels = sender["HostConfig"], sender["Config"]["Labels"]
    assert (sender["Config"]["User"], host["CapDrop"], host["ReadonlyRootfs"]) == ("65532:65532", ["ALL"], True)
    assert host["NetworkMode"].startswith("cdp-bridge-")
    assert all(not one["RW"] and one["Source"].startswith("/dev/shm/") for one in sender["Mounts"])
    assert (labels["cdp-bridge.run"], labels["cdp-bridge.token"]) == (log.run_id, str(lease.token))
    assert TOKEN not in json.dumps(sender)
    assert ours(engine) == []


def test_its_config_is_a_file_for_it_alone(mailbox: Mailbox) -> None:
    registry = Registry()
    raw = {"config": {"url": mailbox.url}, "secrets": {"token": "env:POSTING_TOKEN"}}
    found = check(registry, registry.connector(DESTINATION), raw, Resolver(plugins=registry.secret))
    assert [one.name for one in found if not one.passed] == []
    (said,) = mailbox.messages
    assert (said["mode"], said["user"]) == (0o400, 65532)
    assert TOKEN not in str(said["environment"])


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        ("nobody/has-this:1", "the Docker engine has no image nobody/has-this:1. Run: docker pull nobody/has-this:1"),
        ("cdp-bridge-core", "its container ended with exit code 127"),
    ],
)
def test_what_is_no_connector_is_named(engine: docker.APIClient, image: str, problem: str) -> None:
    registry = Registry()
    (found,) = check(registry, registry.connector(f"docker:{image}", "source"), {}, Resolver(plugins=registry.secret))
    assert not found.passed
    assert problem in found.detail
