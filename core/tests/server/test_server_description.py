"""The page at /docs: all that programs are told, for people, in any browser and without a network."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any, NamedTuple

import requests
from cdp_bridge.testing.configuring import configure

from .conftest import BRIDGE, Api

THERE = {
    "connections": "crm",
    "destinations": "ads",
    "mappings": "people",
    "audiences": "vip",
    "conversions": "orders",
    "connectors": "source-shop",
}


def test_the_page_has_every_operation_and_every_type(api: Api) -> None:
    page = api.call("GET", "/docs", role="nobody")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    told = api.call("GET", "/docs/openapi.json", role="nobody").json()
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            assert f"<code>{method.upper()} {path}</code>" in page.text
            assert re.sub("`(.+?)`", r"<code>\1</code>", operation["description"].split("'")[0]) in page.text
    assert {name for name in told["components"]["schemas"] if f'id="{name}"' not in page.text} == set()


def test_every_link_leads_somewhere_and_nothing_is_loaded(api: Api) -> None:
    page = api.call("GET", "/docs").text
    ids = re.findall('id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    links = set(re.findall('href="([^"]*)"', page))
    assert {link for link in links if link.removeprefix("#") not in ids} == {"/docs/openapi.json"}
    assert not re.search("<script|<link|<img|src=|url\\(| on[a-z]+=", page)


def test_the_style_is_the_only_one_that_is_let_in(api: Api) -> None:
    answer = api.call("GET", "/docs")
    (style,) = re.findall("<style>(.*)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["Content-Security-Policy"]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'"


BODIES: dict[str, dict[str, Any]] = {
    "confirm": {"code": "guessed"},
    "replay": {"audience": "none"},
    "preview": {"profile": "meta", "mapping": "none", "records": []},
}
"""What an operation that is not about an entry takes."""


class Provoking(NamedTuple):
    """An operation that is asked in wrong ways, with a body that is right where it matters."""

    api: Api
    method: str
    path: str

    @property
    def body(self) -> dict[str, Any] | None:
        kind = self.path.split("/")[2] if self.path.startswith("/v1/") else ""
        if self.method == "PUT":
            return dict(self.api.get(self.path.format(name=THERE[kind])))
        return None if self.method in ("GET", "DELETE") else BODIES.get(self.path.rpartition("/")[2], {})

    def ask(self, name: str = "", query: str = "", role: str = "admin", **options: Any) -> int:
        """The status of the answer; the operation is about `name`, or about what is there."""
        kind = self.path.split("/")[2] if self.path.startswith("/v1/") else ""
        address = re.sub(r"\{\w+\}", name or THERE.get(kind, "none"), self.path)
        key = {"Authorization": f"Bearer {self.api.keys[role]}"} if role in self.api.keys else {}
        options["headers"] = key | options.get("headers", {})
        return requests.request(self.method, f"{self.api.url}{address}{query}", **options).status_code

    def statuses(self) -> dict[int, int]:
        """What is answered to requests that bring about these statuses where there are such."""
        named = {**self.body, "name": "not-there"} if self.body and self.method == "PUT" else self.body
        return {
            400: self.ask(query="?stray=1"),
            401: self.ask(role="nobody"),
            403: self.ask(role="viewer", json=self.body),
            404: self.ask("not-there", json=named, headers={"If-Match": "*"}),
            412: self.ask(json=self.body, headers={"If-Match": '"old"'}),
            413: self.ask(data=b"x" * 5_000_000, headers={"Content-Type": "application/json"}),
            415: self.ask(data=b"<name/>", headers={"Content-Type": "text/xml"}),
            428: self.ask(json=self.body),
        }


def test_the_statuses_of_an_operation_are_those_that_it_answers(api: Api) -> None:
    wrong = {}
    for path, methods in api.get("/docs/openapi.json")["paths"].items():
        for method, operation in methods.items():
            configure(api.store, BRIDGE)
            answered = Provoking(api, method.upper(), path).statuses()
            declared = {int(status) for status in operation["responses"]}
            provoked = {status for status, answer in answered.items() if status == answer}
            if provoked != declared & answered.keys() or not declared.issuperset(answered.values()):
                wrong[method, path] = answered
    assert wrong == {}
