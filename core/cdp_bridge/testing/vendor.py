"""A made-up vendor over HTTP: segments of people to read, lists of people to keep. The twin of what `new` scaffolds.

`python vendor.py [PORT]` serves it until it is ended.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import uuid
from collections.abc import Collection, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOKEN, SEGMENT, PEOPLE, PAGE = "vendor-token-0123456789", "vip", 25, 10
MAX_ROWS, MAX_BYTES = 500, 200_000
Answer = tuple[int, Any]


class Vendor:
    """The API and what it holds.

    `GET /v1/segments` gives {"segments": [S, ...]}, `GET /v1/people?segment=&after=&since=` gives {"members", "next",
    "version"}: a page of the people of a segment, of everybody without one, or of those who came, changed or left since
    a version. `GET /v1/lists?tag=`, `POST /v1/lists` find and make lists; `POST /v1/lists/L/add` and `/remove` take
    {"members": [{"key", COLUMN: [VALUE, ...], ...}]} and give {"refused": {KEY: CODE}, "invalid": NUMBER}.
    `POST /v1/events` takes {"events": [{"id", "name", "at"}]} and counts each id once.
    """

    def __init__(self) -> None:
        self.url = ""
        self.version = 1
        self.people = {f"u-{n:03}": _person(n) for n in range(PEOPLE)}
        self.changed = dict.fromkeys(self.people, 1)
        self.lists: dict[str, dict[str, Any]] = {}
        self.held: dict[str, dict[str, list[str]]] = {}
        self.bad: dict[str, str] = {}
        self.events: dict[str, dict[str, Any]] = {}

    @contextlib.contextmanager
    def running(self, port: int = 0) -> Iterator[Vendor]:
        """Serve on a port of this machine (0: any free one) for the length of a `with` block."""
        with ThreadingHTTPServer(("127.0.0.1", port), _handler(self)) as server:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            self.url = f"http://127.0.0.1:{server.server_port}"
            try:
                yield self
            finally:
                server.shutdown()

    def keys(self) -> Collection[tuple[str]]:
        """The ids of the people in the segment."""
        return {(key,) for key in self.people}

    def churn(self) -> None:
        """Two people leave, one changes, two come."""
        self.version += 1
        for key in list(self.people)[:2]:
            del self.people[key]
            self.changed[key] = self.version
        for number in (5, PEOPLE + self.version * 2, PEOPLE + self.version * 2 + 1):
            person = _person(number) | {"emails": [f"new.address.{number}@example.com"]}
            self.people[person["id"]] = person
            self.changed[person["id"]] = self.version

    def audiences(self) -> Collection[str]:
        """The ids of all lists."""
        return set(self.lists)

    def members(self, list_id: str) -> Collection[Collection[str]]:
        """Who is on a list, as the identifier values that were sent."""
        return list(self.held[list_id].values())

    def conversions(self) -> dict[str, int]:
        """How often each event is counted."""
        return dict.fromkeys(self.events, 1)

    def refuse(self, value: str) -> None:
        """Refuse the row with this value, by name."""
        self.bad[value] = "row"

    def refuse_by_count(self, value: str) -> None:
        """Refuse the row with this value and say only that there is one."""
        self.bad[value] = "count"

    def refuse_whole(self, value: str) -> None:
        """Refuse any request with this value."""
        self.bad[value] = "request"

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        """Status and JSON for a request with the right token."""
        match method, path.strip("/").split("/"):
            case "GET", ["v1", "segments"]:
                return 200, {"segments": [SEGMENT]}
            case "GET", ["v1", "people"]:
                return self._page(query)
            case "GET", ["v1", "lists"]:
                return 200, {"lists": [made for made in self.lists.values() if query.get("tag") in (None, made["tag"])]}
            case "POST", ["v1", "lists"]:
                return 201, self._create(str(body["name"]), str(body["tag"]))
            case "POST", ["v1", "lists", list_id, "add" | "remove" as operation] if list_id in self.lists:
                return self._change(self.held[list_id], operation, body["members"])
            case "POST", ["v1", "events"]:
                self.events |= {event["id"]: event for event in body["events"]}
                return 200, {"received": len(body["events"])}
        return 404, {"error": "not found"}

    def _page(self, query: dict[str, str]) -> Answer:
        if query.get("segment", SEGMENT) != SEGMENT:
            return 404, {"error": "no such segment"}
        since = int(query.get("since") or 0)
        wanted = [key for key, version in sorted(self.changed.items()) if version > since]
        if not since:
            wanted = [key for key in wanted if key in self.people]
        rest = [key for key in wanted if key > query.get("after", "")]
        rows = [self.people.get(key, {"id": key, "emails": []}) | {"is_member": key in self.people} for key in rest]
        following = rest[PAGE - 1] if len(rest) > PAGE else None
        return 200, {"members": rows[:PAGE], "next": following, "version": self.version}

    def _create(self, name: str, tag: str) -> dict[str, Any]:
        # A port may be used again, and a connector may remember a list of the server that had it before.
        made = {"id": f"list-{uuid.uuid4().hex}", "name": name, "tag": tag}
        self.lists[made["id"]], self.held[made["id"]] = made, {}
        return made

    def _change(self, held: dict[str, list[str]], operation: str, rows: list[dict[str, Any]]) -> Answer:
        if len(rows) > MAX_ROWS:
            return 413, {"error": f"more than {MAX_ROWS} members"}
        values = {row["key"]: [value for name in row if name != "key" for value in row[name]] for row in rows}
        wrong = {key: self.bad[value] for key in values for value in values[key] if value in self.bad}
        if "request" in wrong.values():
            return 400, {"error": "a member is malformed"}
        for key in values.keys() - wrong.keys():
            if operation == "add":
                held[key] = values[key]
            else:
                held.pop(key, None)
        refused = {key: "malformed" for key, kind in wrong.items() if kind == "row"}
        return 200, {"refused": refused, "invalid": len(wrong) - len(refused)}


def _person(number: int) -> dict[str, Any]:
    return {"id": f"u-{number:03}", "emails": [f"person.{number}@example.com"], "city": f"Springfield {number}"}


def _handler(vendor: Vendor) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _handle(self) -> None:
            address = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = 401, {"error": "unauthorised"}
            if self.headers["Authorization"] == f"Bearer {TOKEN}":
                status, answer = 413, {"error": f"more than {MAX_BYTES} bytes"}
                if len(body) <= MAX_BYTES:
                    query = dict(parse_qsl(address.query))
                    status, answer = vendor.answer(self.command, address.path, query, json.loads(body or b"null"))
            text = json.dumps(answer).encode()
            self.send_response_only(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = _handle  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


if __name__ == "__main__":
    with Vendor().running(*map(int, sys.argv[1:])) as running, contextlib.suppress(KeyboardInterrupt):
        print(f"{running.url} expects the token {TOKEN}", flush=True)
        threading.Event().wait()
