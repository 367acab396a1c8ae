"""Ten thousand marked people and some marked secrets through every command and failure: nothing of them is found in
what the bridge prints, logs, keeps or puts into a URL.
"""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
import sandbox
from cdp_bridge.store import Store
from cdp_bridge.store.window import Window

PEOPLE = 10_000
TOKEN, PASSWORD, WRONG = "kanarie-token-1f3a9c", "kanarie-password-77b2", "kanarie-wrong-token-5d"
MARKS = re.compile(rb"kanarie|zugvogel|[2-9]\d\d\W{0,2}555\W?01\d\d(?!\d)", re.IGNORECASE)
"""E-mail addresses, names and secrets hold one of the words; telephone numbers are those kept for fiction."""

BRIDGE = """\
connections:
  - {{name: files, cdp_provider: source-file, api_credentials: {{path: {inputs}/people.csv, segment_column: segment}}}}
  - {{name: torn, cdp_provider: source-file, api_credentials: {{path: {inputs}/torn.csv}}}}
  - name: segment
    cdp_provider: source-segment
    api_credentials:
      public_api_token: env:SEGMENT_TOKEN
      base_url: {segment}
      warehouse: {{url: env:SEGMENT_WAREHOUSE}}
destinations:
  - name: meta
    connector: destination-meta
    settings: {{access_token: env:META_TOKEN, ad_account_id: act_1001, base_url: {meta}}}
  - name: wrong
    connector: destination-meta
    settings: {{access_token: env:WRONG_TOKEN, ad_account_id: act_1001, base_url: {meta}}}
mappings:
  people: &people
    - {{omniads_field: user_id, cdp_field: id}}
    - {{omniads_field: email, cdp_field: email}}
    - {{omniads_field: phone, cdp_field: phone}}
    - {{omniads_field: first_name, cdp_field: first}}
    - {{omniads_field: last_name, cdp_field: last}}
    - {{omniads_field: city, cdp_field: city, transformation_rule: "CAST(CAST(value AS INTEGER) AS VARCHAR)"}}
  strict:
    - {{omniads_field: user_id, cdp_field: id}}
    - {{omniads_field: email, cdp_field: email, validation: {{maxLength: 5}}, on_invalid: fail}}
suppressions: [{inputs}/opted_out.txt]
audiences:
"""
AUDIENCE = "  - {{name: {0}, connection: {1}, segment: {0}, destination: {2}, mapping: {3}, removal_limit: 1.0}}\n"
AUDIENCES = (
    ("everyone", "files", "meta", "people"),
    ("few", "files", "meta", "people"),
    ("one", "files", "meta", "people"),
    ("failing", "files", "meta", "strict"),
    ("unwelcome", "files", "wrong", "people"),
    ("ragged", "torn", "meta", "people"),
    ("cart_abandoners_7d", "segment", "meta", "people"),
)


class Aviary:
    """The bridge with its marked people, and everything that it has written so far."""

    def __init__(self, folder: Path, twins: sandbox.Sandbox) -> None:
        self.inputs, self.home, self.temporary = folder / "inputs", folder / "home", folder / "temporary"
        self.twins = twins
        self.written: dict[str, bytes] = {}
        for path in (self.inputs, self.home, self.temporary):
            path.mkdir()
        self.environment = os.environ | {
            "CDP_BRIDGE_STORE": f"sqlite:///{self.home}/bridge.db",
            "TMPDIR": str(self.temporary),
            "META_TOKEN": TOKEN,
            "WRONG_TOKEN": WRONG,
            "SEGMENT_TOKEN": "sandbox-papi-token",
            "SEGMENT_WAREHOUSE": f"postgresql://kanarie:{PASSWORD}@127.0.0.1:9/zugvogel",
        }
        self.control("config", {"tokens": {TOKEN: {}}})

    def plant(self, shift: int = 0) -> None:
        """Write the people; `shift` gives them other addresses."""
        with (self.inputs / "people.csv").open("w", newline="") as file:
            csv.writer(file).writerow(["id", "segment", "email", "phone", "first", "last", "city"])
            csv.writer(file).writerows(rows("everyone", range(PEOPLE), shift))
            for segment, count in (("few", 3), ("one", 1), ("failing", 2), ("unwelcome", 2)):
                csv.writer(file).writerows(rows(segment, range(count), shift))
        (self.inputs / "torn.csv").write_text('id,email,first\n1,kanarie1@example.com,"Kanarie\n2,kanarie2@example.com')
        # One line of forty is no reason to stop.
        others = "".join(f"kanarie{number}@example.org\n" for number in range(40))
        lines = f"kanarie7@example.com\nKanarie ohne Adresse\n+1 201 555 0108\n{others}"
        (self.inputs / "opted_out.txt").write_text(lines)
        text = BRIDGE.format(inputs=self.inputs, segment=self.twins.segment, meta=self.twins.meta)
        (self.inputs / "bridge.yaml").write_text(text + "".join(AUDIENCE.format(*one) for one in AUDIENCES))

    def run(self, *arguments: str, code: int | None = 0, **environment: str) -> str:
        """One command; what it wrote is kept, and its exit code checked."""
        command = [str(Path(sys.executable).parent / "cdp-bridge"), *arguments]
        ended = subprocess.run(
            command, cwd=self.inputs, env=self.environment | environment, capture_output=True, check=False
        )
        name = f"{len(self.written)}: {' '.join(arguments)}"
        self.written[f"{name} (stdout)"], self.written[f"{name} (stderr)"] = ended.stdout, ended.stderr
        assert ended.returncode == code, (name, ended.stdout[-2000:], ended.stderr[-2000:])
        return ended.stdout.decode()

    def control(self, path: str, body: Any = None, twin: str | None = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{twin or self.twins.meta}/_twin/{path}", data)) as answer:
            return bytes(answer.read())

    def fault(self, **fault: Any) -> None:
        self.control("faults", [{"match": {"path_regex": "/users$"}} | fault])

    def dead_letters(self) -> dict[str, bytes]:
        with Store.open(self.environment["CDP_BRIDGE_STORE"]) as store:
            return {
                f"dead letter {number}": repr(one).encode()
                for number, one in enumerate(store.dead_letters.listed(window=Window(limit=None)))
            }

    def kept(self) -> Iterator[tuple[str, bytes]]:
        """Everything that is left: files, records of the store, journals of the twins."""
        for path in sorted([*self.home.rglob("*"), *self.temporary.rglob("*")]):
            if path.is_file():
                yield str(path), path.read_bytes()
        with Store.open(self.environment["CDP_BRIDGE_STORE"]) as store:
            yield "runs", repr(store.runs(limit=1000)).encode()
            yield "configuration", repr(store.bridge()).encode()
        for twin in (self.twins.meta, str(self.twins.segment)):
            yield f"journal of {twin}", self.control("requests", twin=twin)


def rows(segment: str, numbers: Iterable[int], shift: int) -> Iterator[list[str]]:
    for number in numbers:
        # Some go by their address, which is then the user id.
        email = f"Kanarie{number + shift}@Example.com"
        user_id = email if number % 100 == 3 else f"u{number}"
        phone = f"+1 {AREAS[number // 100]} 555 01{number % 100:02}"
        yield [user_id, segment, email, phone, f"Kanarie{number}", f"Zugvogel{number}", f"Zugvogelstadt{number}"]


def _is_area(area: int) -> bool:
    return phonenumbers.is_possible_number(phonenumbers.parse(f"+1{area}5550100")) and phonenumbers.is_valid_number(
        phonenumbers.parse(f"+1{area}2550100")
    )


AREAS = [area for area in range(201, 990) if _is_area(area)][: PEOPLE // 100]


@pytest.fixture(scope="module")
def aviary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aviary]:
    """Everything has happened once: commands that work, that fail, and that are killed."""
    with sandbox.running(people=20) as twins:
        aviary = Aviary(tmp_path_factory.mktemp("cage"), twins)
        aviary.plant()
        aviary.run("plan", "-f", "bridge.yaml")
        aviary.run("apply", "-f", "bridge.yaml", "--yes")
        aviary.run("apply", "-f", "bridge.yaml", "--yes", "--json")
        aviary.run("check", "source-file", "--connection", "files")
        aviary.run("--debug", "check", "destination-meta", "--connection", "meta")
        aviary.run("check", "destination-meta", "--connection", "wrong", code=1)
        aviary.run("--debug", "check", "source-segment", "--connection", "segment", code=1)
        aviary.run("sync", "--dry-run", "everyone", "few")
        aviary.run("--debug", "sync", "--dry-run", "--json", "everyone")
        for point in ("staged", "delivery_opened", "written"):
            aviary.run("--debug", "sync", "everyone", code=-signal.SIGKILL, CDP_BRIDGE_FAILPOINT=point)
        aviary.run("--debug", "sync", "everyone", "--json")
        aviary.run("sync", "everyone")
        message = "(#100) cannot take kanarie1@example.com, +1 201 555 0101, Zugvogel"
        aviary.fault(kind="status", status=400, times=3, body={"error": {"code": 100, "message": message}})
        aviary.run("--debug", "sync", "one", "few", "--json", code=3)
        aviary.written |= aviary.dead_letters()
        aviary.fault(kind="status", status=400, body={"error": {"code": 190, "message": message}})
        aviary.plant(shift=50)
        aviary.run("--debug", "sync", "everyone", code=1)
        aviary.fault(kind="partial", rows=100)
        aviary.run("sync", "everyone")
        aviary.run("--debug", "sync", "everyone", "--json")
        for name in ("failing", "unwelcome", "ragged", "cart_abandoners_7d"):
            aviary.run("--debug", "sync", name, code=1)
            aviary.run("--debug", "sync", "--dry-run", name, code=1 if name != "unwelcome" else 0)
        aviary.run("sync", "--all", "--json", code=1)
        aviary.run("runs", "--json")
        aviary.run("audiences")
        aviary.run("doctor", code=1)
        yield aviary


def test_the_commands_did_something(aviary: Aviary) -> None:
    held = json.loads(aviary.control("audiences"))
    assert max(one["held_rows"] for one in held) > PEOPLE * 0.95
    assert "dead letter 0" in aviary.written
    with Store.open(aviary.environment["CDP_BRIDGE_STORE"]) as store:
        assert {run.status for run in store.runs(limit=1000)} >= {"succeeded", "failed", "partial"}
    assert sum(map(len, aviary.written.values())) > 20_000


def test_the_marks_would_be_found(aviary: Aviary) -> None:
    content = (aviary.inputs / "people.csv").read_bytes()
    assert len(MARKS.findall(content)) >= 5 * PEOPLE
    assert MARKS.search(b"2015550101")
    assert all(MARKS.search(secret.encode()) for secret in (TOKEN, PASSWORD, WRONG))


def test_nothing_of_them_was_printed_or_logged(aviary: Aviary) -> None:
    assert {name: MARKS.findall(text)[:3] for name, text in aviary.written.items() if MARKS.search(text)} == {}


def test_nothing_of_them_is_kept(aviary: Aviary) -> None:
    kept = dict(aviary.kept())
    assert any(name.endswith("bridge.db") for name in kept)
    assert {name: MARKS.findall(content)[:3] for name, content in kept.items() if MARKS.search(content)} == {}
