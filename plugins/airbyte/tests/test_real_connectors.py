"""Connectors that nobody here wrote: three sources, a destination, and a whole sync."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import duckdb
import pytest
from airbyte_connectors import destination as airbyte_destination
from airbyte_connectors import source as airbyte_source
from airbyte_connectors.settings import DestinationSettings, SourceSettings
from cdp_bridge import settings as checked
from cdp_bridge.sdk import Audience, Batch, Checkpoint, Outcome, Page, ReadRequest

from .lines import Json

pytestmark = pytest.mark.airbyte

HERE = Path(__file__).parent
TOKEN = "placeholder-token"
BRIDGE = """\
connections:
  - name: fakes
    cdp_provider: source-airbyte
    api_credentials:
      connector: {{type: executable, command: {source}}}
      config: {{count: 30, seed: 1, always_updated: false, parallelism: 1}}
      members: {{stream: users}}
destinations:
  - name: files
    connector: destination-file
    settings: {{path: out}}
mappings:
  users:
    - {{omniads_field: user_id, cdp_field: id}}
    - {{omniads_field: email, cdp_field: email}}
    - {{omniads_field: phone, cdp_field: telephone}}
audiences:
  - name: fans
    connection: fakes
    segment: everybody
    stream: users
    destination: files
    mapping: users
    incremental: true
    consent: []
"""


class Placeholder(ThreadingHTTPServer):
    """A small REST API of people on this machine: pages, a token, changes since a time."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.people = [person(number) for number in range(10)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    """One request."""

    server: Placeholder

    def do_GET(self) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        is_known = self.headers["Authorization"] == f"Bearer {TOKEN}"
        page, limit = int(asked.get("_page", 1)), int(asked["_limit"])
        changed = [one for one in self.server.people if one["updated_at"] >= asked["updated_at_gte"]]
        body = json.dumps(changed[(page - 1) * limit : page * limit] if is_known else {"message": "no"}).encode()
        self.send_response(200 if is_known else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *values: Any) -> None:
        """Says nothing."""


def person(number: int, plan: str = "gold", day: int = 1) -> Json:
    return {
        "id": number,
        "name": f"Person {number}",
        "email": f"person{number}@example.com",
        "plan": plan,
        "updated_at": f"2024-06-{day:02}T00:00:00Z",
    }


@pytest.fixture
def placeholder() -> Iterator[Placeholder]:
    with Placeholder() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def executable(path: Path, config: Json, **more: Any) -> SourceSettings:
    connector = {"type": "executable", "command": str(path)}
    return checked.load(SourceSettings, {"connector": connector, "config": config} | more)


def rows(items: list[Page | Checkpoint]) -> list[Any]:
    return [row for item in items if isinstance(item, Page) for row in item.records]


def test_hardcoded_records(others: Path) -> None:
    settings = executable(others / "source-hardcoded-records", {"count": 7}, members={"stream": "customers"})
    people = rows(list(airbyte_source.read(settings, ReadRequest(stream="customers", segment="all"))))
    assert len(people) == 7
    assert all(person["is_member"] and "@" in person["email"] for person in people)


def test_a_low_code_manifest(others: Path, placeholder: Placeholder, caplog: pytest.LogCaptureFixture) -> None:
    runner = str(others / "source-declarative-manifest")
    raw = {
        "connector": {"type": "manifest", "path": str(HERE / "jsonplaceholder.yaml"), "runner": runner},
        "config": {"base_url": placeholder.url},
        "secrets": {"api_token": TOKEN},
        "members": {"stream": "users", "segment_field": "plan"},
    }
    settings = checked.load(SourceSettings, raw)
    *pages, checkpoint = airbyte_source.read(settings, ReadRequest(stream="users", segment="gold"))
    assert [row["id"] for row in rows(pages)] == list(range(10))
    assert isinstance(checkpoint, Checkpoint)
    placeholder.people[3:5] = [person(3, plan="free", day=8), person(4, day=9)]
    change = ReadRequest(stream="users", segment="gold", checkpoint=checkpoint.state)
    changed = {row["id"]: row["is_member"] for row in rows(list(airbyte_source.read(settings, change)))}
    assert (changed[3], changed[4]) == (False, True)
    bad = checked.load(SourceSettings, raw | {"secrets": {"api_token": "mistyped-token"}})
    *passed, failed = airbyte_source.check(bad)
    assert [probe.name for probe in passed if probe.passed] == ["connector", "spec", "config"]
    assert "The token is not valid" in failed.detail
    assert not {TOKEN, "mistyped-token"} & set(re.split(r"[^\w-]", caplog.text + str(failed)))


def test_a_vector_lake_takes_what_is_added_and_removed(others: Path, tmp_path: Path) -> None:
    config = {
        "table_base_path": str(tmp_path / "lake"),
        "embed_mode": "cmd",
        "embed_cmd": f"{sys.executable} {HERE / 'embed.py'}",
        "embedding_dim": 2,
        # It leaves lists out, except as the text that it makes a vector of.
        "text_field": "email",
    }
    connector = {"type": "executable", "command": str(others / "airbyte-destination-ailake")}
    settings = checked.load(DestinationSettings, {"connector": connector, "config": config})
    one, two = b"\x01" * 16, b"\x02" * 16
    email = {one: ["0f" * 32], two: ["1e" * 32, "2d" * 32]}
    with airbyte_destination.open(settings) as writer:
        ref = writer.ensure(Audience(marker="vip", name="VIP"))
        batches = [
            Batch(audience=ref, operation="add", keys=(one, two), identifiers={"email": [email[one], email[two]]}),
            Batch(audience=ref, operation="remove", keys=(two,), identifiers={"email": [email[two]]}),
        ]
        assert [writer.write(batch) for batch in batches] == [Outcome(), Outcome()]
    files = tmp_path / "lake" / ref.id / "**" / "*.parquet"
    query = f"SELECT operation, key, audience, text FROM read_parquet('{files}') ORDER BY ALL"
    assert duckdb.connect().execute(query).fetchall() == [
        ("add", one.hex(), ref.id, str(email[one])),
        ("add", two.hex(), ref.id, str(email[two])),
        ("remove", two.hex(), ref.id, str(email[two])),
    ]


class Bridge(Protocol):
    """Runs `cdp-bridge`; its JSON answer, or its text."""

    def __call__(self, *arguments: str) -> Any: ...


@pytest.fixture
def bridge(tmp_path: Path) -> Bridge:
    """Runs `cdp-bridge` in a folder with a store of its own; its JSON answer."""
    environment = os.environ | {"CDP_BRIDGE_STORE": f"sqlite:///{tmp_path}/bridge.db"}
    program = Path(sys.executable).with_name("cdp-bridge")

    def run(*arguments: str) -> Any:
        done = subprocess.run(
            [program, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    return run


def test_a_whole_sync_and_then_only_what_changed(others: Path, bridge: Bridge, tmp_path: Path) -> None:
    (tmp_path / "bridge.yaml").write_text(BRIDGE.format(source=others / "source-faker"))
    bridge("apply", "-f", "bridge.yaml", "--yes")
    (first,) = bridge("sync", "fans", "--json")
    assert (first["status"], first["records_processed"]) == ("succeeded", 30)
    (file,) = (tmp_path / "out").glob("*/*.jsonl")
    members = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(members) == 30
    assert all(len(digest) == 64 for member in members for digest in member["email"])
    # Its records do not change, so from where it stopped there is nothing more: nobody is read, and nobody removed.
    (second,) = bridge("sync", "fans", "--json")
    assert (second["status"], second["records_processed"]) == ("succeeded", 0)
    assert list((tmp_path / "out").glob("*/*.jsonl")) == [file]
