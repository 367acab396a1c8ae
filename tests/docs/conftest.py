"""What the pages under docs/ show, made real: their files built as wheels and installed, Acme's API on the loopback."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cdp_bridge.cli import main

ROOT = Path(__file__).parents[2]
FILE = re.compile(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOKEN = "acme-token-0123456789"


class Club:
    """Acme's API: tiers of members to read in pages, lists to write; `busy` calls are answered with 503 first."""

    def __init__(self) -> None:
        self.tiers: dict[str, list[dict[str, Any]]] = {}
        self.lists: dict[str, dict[str, list[str]]] = {}
        self.tags: dict[str, str] = {}
        self.refuse: set[str] = set()
        self.calls: list[str] = []
        self.busy = 0
        self.url = ""

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any) -> tuple[int, Any]:
        """Status and JSON of one call."""
        self.calls.append(f"{method} {path}")
        match method, path.split("/")[2:]:
            case "GET", ["members"]:
                return self._page(query)
            case "GET", ["lists"]:
                return 200, {"lists": [{"id": self.tags[query["tag"]]}] if query.get("tag") in self.tags else []}
            case "POST", ["lists"]:
                name = self.tags[body["tag"]] = f"list-{len(self.lists)}"
                self.lists[name] = {}
                return 201, {"id": name}
            case "POST", ["lists", name, operation]:
                return self._write(self.lists[name], operation, body["members"])
        return 404, {}

    def _page(self, query: Mapping[str, str]) -> tuple[int, Any]:
        if "tier" not in query:
            return 200, {"members": [], "next": None}
        if query["tier"] not in self.tiers:
            return 404, {}
        start = int(query.get("after") or 0)
        members = self.tiers[query["tier"]]
        end = start + 2
        return 200, {"members": members[start:end], "next": str(end) if end < len(members) else None}

    def _write(self, held: dict[str, list[str]], operation: str, rows: list[dict[str, Any]]) -> tuple[int, Any]:
        if self.busy:
            self.busy -= 1
            return 503, {}
        refused = {row["key"]: "unlucky" for row in rows if self.refuse & set(row["email"])}
        for row in rows:
            if operation == "remove":
                held.pop(row["key"], None)
            elif row["key"] not in refused:
                held[row["key"]] = row["email"]
        return 200, {"refused": refused}


@pytest.fixture
def club() -> Iterator[Club]:
    """Acme's API; `club.url` says where it listens."""
    club = Club()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            address = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            allowed = self.headers["Authorization"] == f"Bearer {TOKEN}"
            query = dict(parse_qsl(address.query))
            status, answer = (
                club.answer(self.command, address.path, query, json.loads(body or b"null")) if allowed else (401, {})
            )
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        club.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield club
        server.shutdown()


@pytest.fixture(scope="session")
def files() -> dict[str, str]:
    """The files that the page on connectors shows, by path."""
    found = FILE.findall((ROOT / "docs" / "writing-a-connector.md").read_text())
    assert len(found) == len(dict(found))
    return dict(found)


@pytest.fixture(scope="session")
def site(files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the packages of the page are installed, from wheels built as their pyproject.toml says."""
    work, site = tmp_path_factory.mktemp("docs"), tmp_path_factory.mktemp("site")
    for path, text in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(text)
        if path.endswith("__init__.py"):
            (work / path).with_name("py.typed").touch()
    for project in work.glob("*/pyproject.toml"):
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(work)]
        subprocess.run(build, cwd=project.parent, check=True, capture_output=True)
    wheels = list(work.glob("*.whl"))
    assert len(wheels) == 3
    for wheel in wheels:
        zipfile.ZipFile(wheel).extractall(site)
    return site


@pytest.fixture
def executable(site: Path, tmp_path: Path) -> Callable[..., str]:
    """Run the console script of an installed package as a process; its stdout."""

    def run(package: str, *arguments: str) -> str:
        command = [sys.executable, "-c", f"import {package}; {package}.main()", *arguments]
        environment = os.environ | {"PYTHONPATH": str(site), "ACME_TOKEN": TOKEN}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout

    return run


@pytest.fixture
def bridge(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Any]]:
    """Run `cdp-bridge` to an exit code of 0, in this process; what it printed, as JSON if asked for."""
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACME_TOKEN", TOKEN)
    monkeypatch.setenv("CDP_BRIDGE_STORE", "sqlite:///store.db")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*arguments: str) -> Any:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capfd.readouterr()
        assert ended.value.code == 0, printed.err + printed.out
        return json.loads(printed.out) if "--json" in arguments else printed.out + printed.err

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def configure(files: dict[str, str], club: Club, tmp_path: Path) -> Callable[..., None]:
    """Write the page's bridge.yaml, pointed at the club and changed as asked."""

    def write(changes: Mapping[str, str] | None = None) -> None:
        text = files["bridge.yaml"].replace('"env:ACME_TOKEN"}', f'"env:ACME_TOKEN", base_url: "{club.url}"}}')
        for old, new in (changes or {}).items():
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "bridge.yaml").write_text(text)

    return write
