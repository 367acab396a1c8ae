"""Every endpoint of the running server with every kind of caller: who is let in, and that no other changes anything."""

from __future__ import annotations

import base64
import http.client
import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.server.application import application
from cdp_bridge.server.health import health_application
from cdp_bridge.server.service import listen
from cdp_bridge.store import Store
from cdp_bridge.store.window import Window
from litestar import Litestar
from litestar.routes import HTTPRoute

from .conftest import NAMES, ROLES, SYNC, Target, attacked, furnish, serving

READ = ["viewer", "operator", "admin"]
STEER = ["operator", "admin"]
ADMIN = ["admin"]
ENDPOINTS: dict[tuple[str, str], list[str]] = {
    ("GET", "/v1/connectors"): READ,
    ("GET", "/v1/connectors/{name}"): READ,
    ("GET", "/v1/connections"): READ,
    ("POST", "/v1/connections"): ADMIN,
    ("GET", "/v1/connections/{name}"): READ,
    ("PUT", "/v1/connections/{name}"): ADMIN,
    ("PATCH", "/v1/connections/{name}"): ADMIN,
    ("DELETE", "/v1/connections/{name}"): ADMIN,
    ("POST", "/v1/connections/{name}/check"): STEER,
    ("POST", "/v1/connections/{name}/connect"): ADMIN,
    ("POST", "/v1/connections/{name}/connect/confirm"): ADMIN,
    ("POST", "/v1/connections/{name}/discover"): STEER,
    ("POST", "/v1/connections/{name}/pause"): STEER,
    ("POST", "/v1/connections/{name}/resume"): STEER,
    ("GET", "/v1/destinations"): READ,
    ("POST", "/v1/destinations"): ADMIN,
    ("GET", "/v1/destinations/{name}"): READ,
    ("PUT", "/v1/destinations/{name}"): ADMIN,
    ("PATCH", "/v1/destinations/{name}"): ADMIN,
    ("DELETE", "/v1/destinations/{name}"): ADMIN,
    ("POST", "/v1/destinations/{name}/check"): STEER,
    ("POST", "/v1/destinations/{name}/discover"): STEER,
    ("POST", "/v1/destinations/{name}/connect"): ADMIN,
    ("POST", "/v1/destinations/{name}/connect/confirm"): ADMIN,
    ("GET", "/v1/segments"): READ,
    ("GET", "/v1/audiences"): READ,
    ("POST", "/v1/audiences"): STEER,
    ("GET", "/v1/audiences/{name}"): READ,
    ("PUT", "/v1/audiences/{name}"): STEER,
    ("PATCH", "/v1/audiences/{name}"): STEER,
    ("DELETE", "/v1/audiences/{name}"): STEER,
    ("POST", "/v1/audiences/{name}/sync"): STEER,
    ("GET", "/v1/audiences/{name}/match-estimates"): READ,
    ("POST", "/v1/audiences/{name}/approve-removals"): STEER,
    ("POST", "/v1/audiences/{name}/pause"): STEER,
    ("POST", "/v1/audiences/{name}/resume"): STEER,
    ("GET", "/v1/conversions"): READ,
    ("POST", "/v1/conversions"): STEER,
    ("GET", "/v1/conversions/{name}"): READ,
    ("PUT", "/v1/conversions/{name}"): STEER,
    ("PATCH", "/v1/conversions/{name}"): STEER,
    ("DELETE", "/v1/conversions/{name}"): STEER,
    ("POST", "/v1/conversions/{name}/sync"): STEER,
    ("POST", "/v1/conversions/{name}/pause"): STEER,
    ("POST", "/v1/conversions/{name}/resume"): STEER,
    ("GET", "/v1/mappings"): READ,
    ("POST", "/v1/mappings"): STEER,
    ("POST", "/v1/mappings/preview"): STEER,
    ("GET", "/v1/mappings/{name}"): READ,
    ("PUT", "/v1/mappings/{name}"): STEER,
    ("PATCH", "/v1/mappings/{name}"): STEER,
    ("DELETE", "/v1/mappings/{name}"): STEER,
    ("GET", "/v1/runs"): READ,
    ("GET", "/v1/runs/{run_id}"): READ,
    ("GET", "/v1/runs/{run_id}/events"): READ,
    ("POST", "/v1/runs/{run_id}/cancel"): STEER,
    ("POST", "/v1/runs/{run_id}/retry"): STEER,
    ("GET", "/v1/dead-letters"): STEER,
    ("POST", "/v1/dead-letters/replay"): STEER,
    ("GET", "/v1/suppressions"): READ,
    ("POST", "/v1/suppressions"): STEER,
    ("POST", "/v1/suppressions/remove"): STEER,
    ("GET", "/v1/audit"): ADMIN,
    ("GET", "/metrics"): READ,
    ("GET", "/v1/api-keys"): ADMIN,
    ("POST", "/v1/api-keys"): ADMIN,
    ("DELETE", "/v1/api-keys/{key_id}"): ADMIN,
}
"""Which roles may call what; a new endpoint takes a row here."""
OPEN = {
    "/docs": 200,
    "/docs/openapi.json": 200,
    "/docs/{path}": 404,
    "/oauth/start/{connector}": 400,
    "/oauth/callback/{connector}": 400,
}
"""What needs no key, and the status of its answer to somebody who has none, nor a ticket of a sign-in."""
NOWHERE = [
    "/",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/schema",
    "/V1/audit",
    "/v1/audit;x",
    "/docs/../v1/audit",
    "/docs/%2e%2e/v1/audit",
    "/docs//v1/audit",
]
"""Addresses that the API does not have: health has a listener of its own, and no spelling leads around the keys."""
RULE = {"omniads_field": "user_id", "cdp_field": "user_id"}
ADA = {"values": ["ada@example.com"]}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/connections": {
        "cdp_provider": "source-file",
        "api_credentials": {"path": "{folder}/people.csv"},
        "sync_schedule": "daily",
    },
    "/v1/destinations": {"connector": "destination-file", "settings": {"path": "{folder}/new"}},
    "/v1/mappings": {"rules": [RULE]},
    "/v1/audiences": {"segment": "people", "mapping": "people", "schedule": {"every": "1h"}, **SYNC},
    "/v1/conversions": {"mapping": "orders", "schedule": {"every": "1h"}, **SYNC},
    "/v1/mappings/preview": {"profile": "meta", "mapping": "people", "records": [{"user_id": "1"}]},
    "/v1/connections/{name}/connect/confirm": {"code": "guessed"},
    "/v1/destinations/{name}/connect/confirm": {"code": "guessed"},
    "/v1/dead-letters/replay": {"audience": "vip"},
    "/v1/suppressions": ADA,
    "/v1/suppressions/remove": ADA,
    "/v1/api-keys": {"name": "mallory", "role": "admin"},
}
"""Bodies that are right, so that a caller who were let in would change something."""
UNCHANGING = {
    "/v1/connections/{name}/discover": 200,
    "/v1/destinations/{name}/check": 200,
    "/v1/destinations/{name}/discover": 200,
    "/v1/mappings/preview": 200,
    "/v1/connections/{name}/connect": 422,
    "/v1/connections/{name}/connect/confirm": 422,
    "/v1/destinations/{name}/connect": 422,
    "/v1/destinations/{name}/connect/confirm": 422,
}
"""The POSTs that change nothing for an administrator either: they only ask, or are of a sign-in (`test_sign_in.py`)."""
WITH_BODY = ("POST", "PUT", "PATCH")
SYNCS = ("/v1/audiences/{name}", "/v1/conversions/{name}")
SPENT = ("revoked", "expired")


def bearer(text: str) -> bytes:
    return b"Bearer " + text.encode()


def inverted(text: str) -> str:
    """A key of the right form with the case of its secret's letters the other way round."""
    return "cdpb_" + text.removeprefix("cdpb_").swapcase()


# Each gets the keys by name, and gives the values of the Authorization headers.
REFUSED: dict[str, Callable[[dict[str, str]], list[bytes]]] = {
    "no key": lambda keys: [],
    "revoked": lambda keys: [bearer(keys["revoked"])],
    "expired": lambda keys: [bearer(keys["expired"])],
    "empty": lambda keys: [b""],
    "no scheme": lambda keys: [keys["admin"].encode()],
    "Basic": lambda keys: [b"Basic " + base64.b64encode(f"admin:{keys['admin']}".encode())],
    "key as Basic": lambda keys: [b"Basic " + keys["admin"].encode()],
    "no text": lambda keys: [b"Bearer"],
    "empty text": lambda keys: [b"Bearer "],
    "cut at the end": lambda keys: [bearer(keys["admin"][:-1])],
    "cut at the beginning": lambda keys: [bearer(keys["admin"][1:])],
    "with more": lambda keys: [bearer(keys["admin"] + "x")],
    "wrong secret": lambda keys: [bearer(inverted(keys["admin"]))],
    "id": lambda keys: [bearer(keys["id"])],
    "two keys in a header": lambda keys: [bearer(f"{keys['admin']}, {keys['admin']}")],
    "two headers, first right": lambda keys: [bearer(keys["admin"]), b"Bearer cdpb_wrong"],
    "two headers, last right": lambda keys: [b"Bearer cdpb_wrong", bearer(keys["admin"])],
    "two headers, both right": lambda keys: [bearer(keys["admin"])] * 2,
    "10,000 characters": lambda keys: [bearer("cdpb_" + "x" * 10_000)],
    "not ASCII": lambda keys: [b"Bearer \xff\xfe"],
    "UTF-8": lambda keys: [bearer(keys["admin"] + "\u00e9")],
}
HEADERS_AN_ADDRESS = 50
"""How many requests one address sends: fewer than a stranger may."""


class Answer(NamedTuple):
    """What is judged of an answer."""

    status: int
    kind: str | None
    challenge: str | None


class Caller:
    """Calls the server from an address of its own, another one after some requests, on loopback as well."""

    def __init__(self, target: Target, number: int, credentials: list[bytes]) -> None:
        self._target, self._number, self._credentials = target, number, credentials
        self._connection: http.client.HTTPConnection | None = None
        self._sent = 0
        self.addresses: list[str] = []

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        """One request."""
        if self._connection is None or self._sent % HEADERS_AN_ADDRESS == 0:
            self.close()
            self.addresses.append(f"127.1.{self._number}.{1 + len(self.addresses)}")
            source = (self.addresses[-1], 0)
            self._connection = http.client.HTTPConnection("127.0.0.1", self._target.port, source_address=source)
        self._sent += 1
        content = b"" if body is None else json.dumps(body).encode()
        self._connection.putrequest(method, path)
        for credential in self._credentials:
            self._connection.putheader("Authorization", credential)
        if body is not None:
            self._connection.putheader("Content-Type", "application/json")
        self._connection.putheader("Content-Length", str(len(content)))
        self._connection.putheader("If-Match", "*")
        self._connection.endheaders(content)
        answer = self._connection.getresponse()
        answer.read()
        return Answer(answer.status, answer.getheader("Content-Type"), answer.getheader("WWW-Authenticate"))

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()


class Guarded:
    """A server with one of everything, its endpoints, and keys that are not valid any more."""

    def __init__(self, target: Target, folder: Path, now: list[float]) -> None:
        self.target, self.folder = target, folder
        furnish(target.store, folder)
        self._run = target.store.requests.add("vip", "test").id
        self._spare = target.store.api_keys.create("spare", "viewer")[0].id
        self._spend(now)
        described = requests.get(f"{target.url}/docs/openapi.json").json()["paths"]
        self.endpoints = [(method.upper(), path) for path, methods in described.items() for method in methods]

    def _spend(self, now: list[float]) -> None:
        """Use two keys of an administrator; then revoke the one, and wait until the other has expired."""
        store, keys = self.target.store, self.target.keys
        revoked, keys["revoked"] = store.api_keys.create("revoked", "admin")
        _, keys["expired"] = store.api_keys.create("expired", "admin", life=timedelta(hours=1))
        assert [self.target.call("GET", "/v1/audit", role=name).status_code for name in SPENT] == [200, 200]
        store.api_keys.revoke(revoked.id)
        now[0] += 3_600
        keys["id"] = self._spare

    def request(self, method: str, path: str) -> tuple[str, str, dict[str, Any] | None]:
        """A request of an endpoint that would change something that is there, or make something new."""
        kind, _, rest = path.removeprefix("/v1/").partition("/")
        name = NAMES.get(kind, "")
        address = path.format(name=name, run_id=self._run, key_id=self._spare)
        body = BODIES.get(path if method == "POST" else f"/v1/{kind}") if method in WITH_BODY else None
        if body is not None and kind in NAMES and rest in ("", "{name}"):
            body = {"name": name if rest else f"new-{kind}", **body}
        return method, address, body and json.loads(json.dumps(body).replace("{folder}", str(self.folder)))

    def contents(self) -> dict[str, list[Any]]:
        """All rows of the store but those of the audit log."""
        with sqlite3.connect(self.folder / "store.db") as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            rows = {name: database.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables}
        database.close()
        assert {"audit", "api_key", "suppression"} < set(rows)
        return {name: found for name, found in rows.items() if name not in ("audit", "sqlite_sequence")}

    def refusals(self) -> list[str]:
        """Who was refused for their key, as the audit log has it."""
        entries = self.target.store.audit.listed(window=Window(limit=1_000))
        return [entry.who for entry in entries if (entry.action, entry.kind) == ("refuse", "api key")]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder, now = tmp_path_factory.mktemp("guarded"), [time.time()]
    with (
        Store.open(f"sqlite:///{folder}/store.db", clock=lambda: now[0]) as store,
        attacked(store, allowed=(str(folder),)) as target,
    ):
        yield Guarded(target, folder, now)


def routes(app: Litestar) -> set[tuple[str, str]]:
    """Methods and paths, without those that the framework adds."""
    found = ((route, method) for route in app.routes if isinstance(route, HTTPRoute) for method in route.methods)
    return {(method, re.sub(r":\w+\}", "}", route.path)) for route, method in found if method != "OPTIONS"}


def test_the_table_has_every_endpoint(guarded: Guarded) -> None:
    assert set(guarded.endpoints) == set(ENDPOINTS)


def test_no_endpoint_is_missing_from_the_description(guarded: Guarded) -> None:
    app = application(guarded.target.store, Registry())
    assert routes(app) == set(guarded.endpoints) | {("GET", path) for path in OPEN}


@pytest.mark.parametrize("spelling", REFUSED)
def test_asvs_8_2_1_whoever_has_no_valid_key_is_refused_everywhere(guarded: Guarded, spelling: str) -> None:
    before, refused_before = guarded.contents(), guarded.refusals()
    caller = Caller(guarded.target, list(REFUSED).index(spelling), REFUSED[spelling](guarded.target.keys))
    requested = {endpoint: guarded.request(*endpoint) for endpoint in guarded.endpoints}
    answers = {endpoint: caller.call(*request) for endpoint, request in requested.items()}
    others = {path: caller.call("GET", path.format(path="x", connector="destination-meta")).status for path in OPEN}
    nowhere = {path: caller.call("GET", path).status for path in NOWHERE}
    caller.close()
    refusal = Answer(401, "application/problem+json", 'Bearer realm="cdp-bridge"')
    assert {endpoint: answer for endpoint, answer in answers.items() if answer != refusal} == {}
    assert others == OPEN
    assert nowhere == dict.fromkeys(NOWHERE, 404)
    assert guarded.contents() == before
    refused = set(guarded.refusals()) - set(refused_before)
    assert refused == (set(caller.addresses) if spelling != "no key" else set())


@pytest.mark.parametrize("role", ROLES)
def test_asvs_8_2_1_only_these_roles_are_let_in(guarded: Guarded, role: str) -> None:
    """Who is let in calls something that is not there, with a body that is wrong."""
    before = guarded.contents()
    caller = Caller(guarded.target, len(REFUSED), [bearer(guarded.target.keys[role])])
    wrong = {}
    for method, path in guarded.endpoints:
        if role in ENDPOINTS[method, path]:
            body = {"nonsense": 1} if method in WITH_BODY else None
            answer = caller.call(method, re.sub(r"\{\w+\}", "not-there", path), body)
            is_right = answer.status not in (401, 403, 405, 429) and answer.status < 500
        else:
            answer = caller.call(*guarded.request(method, path))
            is_right = answer == Answer(403, "application/problem+json", None)
        if not is_right:
            wrong[method, path] = answer
    caller.close()
    assert wrong == {}
    assert guarded.contents() == before


def test_the_same_calls_change_something_for_an_administrator(guarded: Guarded) -> None:
    """Comes after those who are refused, for whom it shows that they sent what would have changed something."""
    caller = Caller(guarded.target, len(REFUSED), [bearer(guarded.target.keys["admin"])])

    def unchanging(method: str, paths: list[str]) -> Iterator[tuple[str, int]]:
        for path in paths:
            before = guarded.contents()
            status = caller.call(*guarded.request(method, path)).status
            if guarded.contents() == before:
                yield path, status

    paths = {
        method: [path for found, path in guarded.endpoints if found == method] for method in (*WITH_BODY, "DELETE")
    }
    assert dict(unchanging("POST", paths["POST"])) == UNCHANGING
    for method in ("PUT", "PATCH"):
        furnish(guarded.target.store, guarded.folder)
        assert dict(unchanging(method, paths[method])) == {}
    furnish(guarded.target.store, guarded.folder)
    # What is used by a sync is deleted after it.
    assert dict(unchanging("DELETE", sorted(paths["DELETE"], key=lambda path: path not in SYNCS))) == {}
    caller.close()


def test_health_tells_everybody_the_same(guarded: Guarded) -> None:
    app = health_application(guarded.target.store, {})
    assert routes(app) == {("GET", "/healthz"), ("GET", "/readyz")}
    with listen("127.0.0.1", 0) as listener, serving(app, listener):
        beside = Target(guarded.target.store, listener.getsockname()[1])
        for credentials in REFUSED.values():
            caller = Caller(beside, len(REFUSED), credentials(guarded.target.keys))
            assert [caller.call("GET", path).status for path in ("/healthz", "/readyz")] == [200, 200]
            caller.close()
