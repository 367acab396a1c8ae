"""Every endpoint of the OpenAPI document against texts and numbers that cannot be right: a place, never a 5xx."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from .conftest import Api

DIGITS = "9" * 30
MARK = "@mark@"
"""Stands in a body where raw JSON is put."""
REFUSED = {
    "NUL": rb'"a\u0000b"',
    "half a surrogate pair": rb'"\ud800"',
    "infinite": b"1e400",
    "minus infinite": b"-1e400",
    "not a number": b"NaN",
    "Infinity": b"Infinity",
    "more than 64 bits": DIGITS.encode(),
    "thousands of digits": b"9" * 5_000,
    "not UTF-8": b'"\xff"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "NUL in a key": rb'{"a\u0000b": 1}',
    "nested deeply": b"[" * 10_000 + b"]" * 10_000,
    "nested objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
}
"""Raw JSON that no endpoint takes anywhere in a body."""
ODD = [b'""', b"-1", b"{}", b"[]", b"null", b"true", b'"\\u202e\\u001b"', b'"%s"' % (b"x" * 100_000), b"1e300"]
"""Raw JSON that is right in some places only."""
TEXTS = ["%00", "a%00b", "%FF", "%ED%A0%80", DIGITS, "-1", "1e400", "NaN", "x" * 5_000, "%E2%80%AE%1B", "%0D%0A", ""]
"""Percent-encoded text in paths and queries."""
HEADERS = [DIGITS, "-1", "1e400", "abc", "x" * 5_000, "\xff", "\xb2", ""]
EXAMPLES: dict[str, Any] = {
    "name": "hostile",
    "cdp_provider": "source-shop",
    "connector": "destination-shop",
    "connection": "crm",
    "destination": "ads",
    "mapping": "people",
    "profile": "meta",
    "api_credentials": {"account": "1"},
    "settings": {"account": "1"},
    "audience": "vip",
    "omniads_field": "user_id",
    "cdp_field": "id",
    "segment": "vip",
}
"""What a field of that name holds, so that a body is near enough to a right one to reach the store."""
CONFIGURED = {
    "connections": "crm",
    "destinations": "ads",
    "mappings": "people",
    "audiences": "vip",
    "conversions": "orders",
    "connectors": "source-shop",
}


class Operation(NamedTuple):
    """One method of one path, as the document describes it."""

    method: str
    path: str
    described: dict[str, Any]

    def parameters(self, place: str) -> list[str]:
        return [part["name"] for part in self.described.get("parameters", ()) if part["in"] == place]


class Caller:
    """Sends raw requests to a server, and judges what all answers have in common."""

    def __init__(self, api: Api) -> None:
        self._api, self._connection = api, http.client.HTTPConnection(urlsplit(api.url).netloc)
        self.sent = 0
        self.run_id = api.store.requests.add("vip", "a test").id
        self.document = api.get("/docs/openapi.json")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def operations(self) -> Iterator[Operation]:
        for path, methods in self.document["paths"].items():
            yield from (Operation(method.upper(), path, described) for method, described in methods.items())

    def address(self, operation: Operation, instead: str | None = None) -> str:
        """The path with what is configured, or other text, for its parameters."""
        configured = CONFIGURED.get(operation.path.split("/")[2] if operation.path.count("/") > 1 else "", "none")
        path = operation.path
        for name in operation.parameters("path"):
            known = self.run_id if name == "run_id" else configured
            path = path.replace(f"{{{name}}}", known if instead is None else instead)
        return path

    def send(self, method: str, address: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        """Status and problem (None of a good answer)."""
        if self.sent % 400 == 0:
            # The rate of a key is limited.
            self.key = self._api.store.api_keys.create("hostile", "admin")[1]
        self.sent += 1
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        kind = {"Content-Type": "application/json"} if body is not None else {}
        self._connection.request(
            method, address, body=body, headers={"Authorization": f"Bearer {self.key}", **kind, **named}
        )
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status < 500, (method, address[:200], body and body[:200], headers, content)
        if answer.status < 400:
            return answer.status, None
        problem = json.loads(content)
        assert all(fault["problem"] and fault["remedy"] for fault in problem["errors"]), problem
        return answer.status, problem

    def refused(self, method: str, address: str, body: bytes | None = None, **headers: str) -> list[dict[str, str]]:
        """The faults of a request that must be answered by 400."""
        status, problem = self.send(method, address, body, **headers)
        assert status == 400, (method, address[:200], body, status, problem)
        return list(problem["errors"])

    def example(self, schema: dict[str, Any], name: str = "") -> Any:
        """A value that fits a schema, more or less."""
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        if name in EXAMPLES:
            return EXAMPLES[name]
        if "enum" in schema or "const" in schema:
            return [*schema.get("enum", ()), schema.get("const")][0]
        for several in (schema.get("oneOf"), schema.get("anyOf")):
            if several:
                return self.example(next(part for part in several if part.get("type") != "null"), name)
        kind = schema.get("type")
        if kind == "array":
            return [self.example(schema.get("items", {}))]
        if kind == "object":
            parts = schema.get("properties", {}).items()
            return {key: self.example(part, key) for key, part in parts if not part.get("readOnly")}
        return {"integer": 1, "number": 0.5, "boolean": False}.get(kind if isinstance(kind, str) else "", "text")


@pytest.fixture
def caller(each_api: Api) -> Iterator[Caller]:
    caller = Caller(each_api)
    yield caller
    caller.close()


def marked(body: Any) -> Iterator[Any]:
    """The body with the mark in place of each of its parts, and of the whole."""
    if isinstance(body, dict):
        yield from ({**body, key: inner} for key, part in body.items() for inner in marked(part))
    if isinstance(body, list):
        yield from ([inner] for part in body for inner in marked(part))
    yield MARK


def test_bodies(caller: Caller) -> None:
    refusals = 0
    for operation in caller.operations():
        if "requestBody" not in operation.described:
            continue
        schema = next(iter(operation.described["requestBody"]["content"].values()))["schema"]
        example, address = caller.example(schema), caller.address(operation)
        for body in marked(example):
            before, _, after = json.dumps(body).encode().partition(json.dumps(MARK).encode())
            for raw in REFUSED.values():
                faults = caller.refused(operation.method, address, before + raw + after, If_Match="*")
                assert all(fault["place"] for fault in faults)
                refusals += 1
            for raw in ODD:
                status, _ = caller.send(operation.method, address, before + raw + after, If_Match="*")
                if status == 201:
                    caller.send("DELETE", f"{address}/{EXAMPLES['name']}", If_Match="*")
        for body in (b"", b"{", b'{"a":1', b'{"a":1}}', b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00", b"\x00"):
            caller.refused(operation.method, address, body, If_Match="*")
    assert refusals > 1_000


def test_paths(caller: Caller) -> None:
    for operation in caller.operations():
        # Without text, it is the address of the list.
        for text in filter(None, TEXTS if operation.parameters("path") else ()):
            status, problem = caller.send(operation.method, caller.address(operation, text), If_Match="*")
            assert status >= 400
            if any(bad in text for bad in ("%00", "%FF", "%ED")):
                assert (status, problem["errors"][0]["place"]) == (400, "path")


def test_queries(caller: Caller) -> None:
    for operation in caller.operations():
        address, known = caller.address(operation), operation.parameters("query")
        (fault,) = caller.refused(operation.method, f"{address}?stray=1")
        assert fault["place"] == "query stray"
        assert fault["remedy"] == f"Known here: {', '.join(sorted(known)) or 'none'}"
        for name in known:
            for text in TEXTS:
                status, problem = caller.send(operation.method, f"{address}?{name}={text}")
                if any(bad in text for bad in ("%00", "%FF", "%ED")) or (name == "limit" and status != 200):
                    assert (status, problem["errors"][0]["place"]) == (400, f"query {name}")
            assert caller.refused(operation.method, f"{address}?{name}=1&{name}=1")[0]["problem"] == "is given twice"
        caller.refused(operation.method, f"{address}?{'&'.join(map(str, range(1_000)))}")
        for text in TEXTS:
            caller.refused(operation.method, f"{address}?{text}=1")
            # Without a name there is no parameter.
            caller.send(operation.method, f"{address}?{text}")


def test_headers(caller: Caller) -> None:
    judged = 0
    for operation in caller.operations():
        names = [*operation.parameters("header"), *(["Idempotency-Key"] if operation.method == "POST" else [])]
        for name in names:
            for text in HEADERS:
                status, problem = caller.send(operation.method, caller.address(operation), None, **{name: text})
                if name == "Last-Event-ID":
                    judged += 1
                    assert (status, problem["errors"][0]["place"].lower()) == (400, "header last-event-id")
    assert judged == len(HEADERS)


@pytest.mark.parametrize("address", ["/docs", "/docs/openapi.json", "/metrics"])
def test_every_address_knows_its_parameters(caller: Caller, address: str) -> None:
    assert caller.refused("GET", f"{address}?stray=1")[0]["place"] == "query stray"
    status, _ = caller.send("GET", address)
    assert status == 200
