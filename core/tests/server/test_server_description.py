"""The page at /docs: all that programs are told, for people, in any browser and without a network."""

from __future__ import annotations

import base64
import hashlib
import re

from .conftest import Api


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
