"""A sync through containers does what it does in this process."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sandbox
from cdp_bridge import configuration
from cdp_bridge.registry import Registry
from cdp_bridge.store import Store
from cdp_bridge.sync.run import Run
from sandbox.people import generate

import docker

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


@pytest.fixture
def life(people: People, twins: sandbox.Sandbox, registry: Registry, tmp_path: Path) -> Callable[[str | None], Any]:
    """Three syncs by one launcher: what each did, who is then in the ledger and at the platform."""
    everybody = [(one.segment_id, one.emails[0].true) for one in generate(PEOPLE, 1).people if one.emails]

    def live(launcher: str | None) -> list[Any]:
        folder, seen = tmp_path / str(launcher), []
        folder.mkdir()
        name = f"vip-{launcher or 'here'}"
        (folder / "bridge.yaml").write_text(BRIDGE.format(people=people.url, meta=twins.meta, name=name))
        with Store.open(f"sqlite:///{folder}/store.db") as store:
            store.save_bridge(configuration.load(folder / "bridge.yaml", registry))
            for segment in (everybody[:150], everybody[10:160], everybody[10:160]):
                people.segment = [{"id": str(who), "email": email} for who, email in segment]
                run = Run(
                    store,
                    registry,
                    store.bridge().audiences[0],
                    launcher=registry.launcher(launcher) if launcher else None,
                )
                log = run.sync()
                rows = [(row.user_id, row.identifiers) for chunk in store.ledger.members(name) for row in chunk]
                ref = store.audience_ref(name)
                assert ref is not None, log.error
                with urllib.request.urlopen(f"{twins.meta}/_twin/audiences/{ref.id}/people") as answer:
                    held = sorted(answer.read().split())
                done = (log.status, log.adds, log.removes, log.membership_calls, log.funnel.in_segment, log.error)
                seen.append((done, sorted(rows, key=str), held))
        return seen

    return live


def test_a_life_of_an_audience_is_the_same_in_containers(
    life: Callable[[str | None], Any], engine: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("META_TOKEN", "sandbox-token")
    here = life(None)
    assert [(done[:3], len(rows)) for done, rows, _ in here] == [
        (("succeeded", 150, 0), 150),
        (("succeeded", 10, 10), 150),
        (("succeeded", 0, 0), 150),
    ]
    assert life("docker") == here
