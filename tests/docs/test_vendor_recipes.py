"""docs/vendor-recipes.md: its sketches have types that fit, and do over HTTP what the page says of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cdp_bridge import sdk
from cdp_bridge.sdk import AudienceRef, Client, ConfigError, Page, ReadRequest, RejectedError, Secret, TransientError
from cdp_bridge.testing import waits
from cdp_bridge.testing.numbered import batch, keys

from tests.fresh import ROOT

PAGE = (ROOT / "docs" / "vendor-recipes.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
SKETCHES = {
    title: code for title, text in SECTIONS.items() for code in re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
}
REF = AudienceRef(id="l-1", account="acme")


@dataclass
class Call:
    """A request as Acme got it."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    headers: dict[str, str]


Reply = Callable[[Call], tuple[int, Any]]


@dataclass
class Acme:
    """A server that answers as `reply` says; `calls` are the requests that came."""

    url: str
    reply: Reply = lambda call: (200, {})
    headers: dict[str, str] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)


@pytest.fixture
def acme() -> Iterator[Acme]:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.daemon_threads = True
        acme = Acme(f"http://127.0.0.1:{server.server_port}")
        server.RequestHandlerClass = _handler(acme)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield acme
        server.shutdown()


def _handler(acme: Acme) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            address = urlsplit(self.path)
            call = Call(self.command, address.path, dict(parse_qsl(address.query)), self._body(), dict(self.headers))
            acme.calls.append(call)
            status, answer = acme.reply(call)
            text = json.dumps(answer).encode()
            self.send_response_only(status)
            for name, value in {**acme.headers, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        do_GET = do_POST = do_PUT = _answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between tries, in seconds; they take no time."""
    slept: list[float] = []
    waits.replaced(monkeypatch, slept.append)
    return slept


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for each sketch."""
    folder = tmp_path_factory.mktemp("recipes")
    for title, code in SKETCHES.items():
        name = re.sub(r"\W+", "_", title.lower())
        (folder / f"{name}.py").write_text(f'"""{title}."""\n\n{code}')
    return folder


@pytest.fixture
def sketch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """The module of a sketch, by its heading."""

    def load(title: str) -> ModuleType:
        assert title in SKETCHES
        name = re.sub(r"\W+", "_", title.lower())
        spec = spec_from_file_location(name, folder / f"{name}.py")
        assert spec
        assert spec.loader
        module = module_from_spec(spec)
        # msgspec looks for the names in annotations there.
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


def test_every_row_leads_to_a_section_and_every_section_but_webhooks_has_a_sketch() -> None:
    rows = re.findall(r"^\| .* \| .*\[.*\]\(#(.*?)\).* \|$", PAGE, re.MULTILINE)
    assert rows == [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in SECTIONS]
    assert list(SKETCHES) == [title for title in SECTIONS if title != "Webhooks"]


def test_types_and_style_hold_and_only_the_sdk_is_imported(folder: Path) -> None:
    settings = ROOT / "pyproject.toml"
    cache = ["--cache-dir", str(ROOT / ".mypy_cache")]
    for command in (["mypy", "--strict", *cache, "."], ["ruff", "check", "--config", str(settings), "."]):
        done = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    for code in SKETCHES.values():
        assert set(re.findall(r"^from (cdp_bridge\S*) import", code, re.MULTILINE)) == {"cdp_bridge.sdk"}
        (names,) = re.findall(r"^from cdp_bridge\.sdk import (.*)$", code, re.MULTILINE)
        assert set(names.split(", ")) <= set(sdk.__all__)


@pytest.mark.parametrize("way", ["number", "offset", "cursor", "link", "header"])
def test_all_pages_come_whatever_the_way(way: str, acme: Acme, sketch: Callable[[str], Any]) -> None:
    recipe = sketch("Lists come in pages")
    people = [{"id": number} for number in range(7)]

    def reply(call: Call) -> tuple[int, Any]:
        start = {
            "number": (int(call.query.get("page", 1)) - 1) * 3,
            "offset": int(call.query.get("offset", 0)),
        }.get(way, int(call.query.get("after", 0)))
        more = start + 3 < len(people)
        link = f"{acme.url}/people?after={start + 3}"
        acme.headers = {"Link": f'<{link}>; rel="next"'} if way == "header" and more else {}
        following = {"cursor": str(start + 3), "link": link}.get(way) if more else None
        return 200, {"people": people[start : start + 3], "next": following}

    acme.reply = reply
    with Client(acme.url) as api:
        if way == "number":
            pages = [page.records for page in recipe.read(api)]
        else:
            follow = getattr(recipe, f"by_{way}", None)
            params = {"offset": 0} if way == "offset" else None
            pages = [page.people for page in api.pages("/people", follow, type=recipe.People, params=params)]
    assert [person for page in pages for person in page] == people


def test_a_job_is_pending_until_it_is_done(acme: Acme, sketch: Callable[[str], Any]) -> None:
    recipe = sketch("An upload is a job")
    refused = {keys(1)[0].hex(): "format"}
    states = iter(["queued", "running", "done"])
    acme.reply = lambda call: (200, {"id": "j-1", "state": next(states), "refused": refused, "invalid": 2})
    with recipe.Lists(acme.url) as lists:
        assert lists.write(batch(REF, [1, 2])).pending == "j-1"
        assert lists.settle(REF, "j-1").pending == "j-1"
        done = lists.settle(REF, "j-1")
    assert (done.pending, done.rejected, done.counts) == (None, {keys(1)[0]: "acme:format"}, {"acme:invalid": 2})


def test_the_named_are_rejected_and_the_counted_searched(acme: Acme, sketch: Callable[[str], Any]) -> None:
    recipe = sketch("Some members are refused in a 200")
    with Client(acme.url) as api:
        acme.reply = lambda call: (200, {"refused": [{"row": 1, "code": "format"}]})
        assert recipe.outcome(api, batch(REF, [1, 2]), "/add").rejected == {keys(2)[0]: "acme:format"}
        acme.reply = lambda call: (200, {"invalid": 1})
        with pytest.raises(RejectedError):
            recipe.outcome(api, batch(REF, [1, 2]), "/add")


@pytest.mark.parametrize(
    ("headers", "answer", "error", "wait"),
    [
        ({"X-Reset-After": "17"}, {"error": "busy"}, TransientError, 17),
        ({"Retry-After": "9"}, {"error": "busy"}, TransientError, 9),
        ({}, {"error": "busy"}, TransientError, 60),
        ({}, {"error": "token"}, ConfigError, None),
        ({}, {"error": "row"}, RejectedError, None),
    ],
)
def test_a_code_in_a_200_is_a_typed_error(
    headers: dict[str, str],
    answer: dict[str, str],
    error: type[Exception],
    wait: float | None,
    acme: Acme,
    sketch: Callable[[str], Any],
) -> None:
    acme.headers, acme.reply = headers, lambda call: (200, answer)
    with sketch("Requests are limited").client(acme.url) as api, pytest.raises(error) as raised:
        api.call("GET", "/people")
    assert getattr(raised.value, "retry_after", None) == wait
    acme.reply = lambda call: (200, {"people": []})
    with sketch("Requests are limited").client(acme.url) as api:
        assert api.call("GET", "/people") == {"people": []}


def test_a_token_is_fetched_and_again_after_a_401(acme: Acme, sketch: Callable[[str], Any]) -> None:
    tokens = iter(["token-1", "token-2"])

    def reply(call: Call) -> tuple[int, Any]:
        if call.path == "/oauth/token":
            return 200, {"access_token": next(tokens), "expires_in": 3600}
        return (200, {"ok": True}) if call.headers["Authorization"] == "Bearer token-2" else (401, {})

    acme.reply = reply
    with sketch("Tokens expire").client(acme.url, "id", Secret("secret-0123456789")) as api:
        assert api.call("GET", "/me") == {"ok": True}
    assert [call.path for call in acme.calls] == ["/oauth/token", "/me", "/oauth/token", "/me"]


def test_a_list_that_shows_late_is_made_once(acme: Acme, slept: list[float], sketch: Callable[[str], Any]) -> None:
    recipe = sketch("A new list has no id")
    made: list[dict[str, str]] = []

    def reply(call: Call) -> tuple[int, Any]:
        if call.method == "POST":
            made.append({"id": f"l-{len(made) + 1}", "tag": json.loads(call.body)["tag"]})
            return 200, {}
        return 200, {"lists": made if slept else []}

    acme.reply = reply
    with recipe.Lists(acme.url) as lists:
        first = lists.ensure(sdk.Audience(marker="m-1", name="VIP"))
        assert lists.ensure(sdk.Audience(marker="m-1", name="VIP")) == first == AudienceRef(id="l-1", account=acme.url)
    assert len(made) == 1


def test_the_whole_list_goes_with_the_last_batch_and_survives_a_killed_run(
    acme: Acme, tmp_path: Path, sketch: Callable[[str], Any]
) -> None:
    recipe = sketch("Only whole lists are taken")
    with recipe.Lists(acme.url, tmp_path / "copy") as lists:
        assert lists.write(batch(REF, [1, 2], number=1, last=False)).pending == recipe.PENDING
        assert acme.calls == []
    with recipe.Lists(acme.url, tmp_path / "copy") as lists:
        assert lists.settle(REF, recipe.PENDING) == sdk.Outcome()
        lists.write(batch(REF, [3, 4], number=1, last=False))
        lists.write(batch(REF, [5], number=2))
        lists.write(batch(REF, [1, 5], "remove"))
    assert [len(call.body.splitlines()) for call in acme.calls] == [2, 5, 3]
    wanted = [list(batch(REF, [number]).identifiers["email"][0]) for number in (2, 3, 4)]
    assert sorted(json.loads(line)["email"] for line in acme.calls[-1].body.splitlines()) == sorted(wanted)


def test_changes_are_replayed_to_who_is_in_now(acme: Acme, sketch: Callable[[str], Any]) -> None:
    recipe = sketch("There are changes but no list")
    log = [("a", True), ("b", True), ("a", False), ("c", True), ("b", True)]
    changes: list[dict[str, Any]] = [
        {"number": n, "id": id, "is_member": is_in} for n, (id, is_in) in enumerate(log, start=1)
    ]

    def reply(call: Call) -> tuple[int, Any]:
        behind = [change for change in changes if change["number"] > int(call.query["since"])]
        return 200, {"changes": behind[:2]}

    acme.reply = reply

    def read(**request: Any) -> tuple[list[tuple[str, bool]], Any]:
        with Client(acme.url) as api:
            *pages, checkpoint = recipe.read(api, ReadRequest(stream="people", **request))
        rows = [row for page in pages for row in page.records if isinstance(page, Page)]
        return sorted((row["id"], row["is_member"]) for row in rows), checkpoint.state

    everybody, state = read()
    assert (everybody, state) == ([("b", True), ("c", True)], {"number": 5})
    changes += [{"number": 6, "id": "b", "is_member": False}, {"number": 7, "id": "d", "is_member": True}]
    assert read(checkpoint=state) == ([("b", False), ("d", True)], {"number": 7})
    assert read(checkpoint={"number": 7}) == ([], {"number": 7})
