"""Lists in pages: by number, offset, cursor and link, to the last page or to an error."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from cdp_bridge.errors import ConfigError, TransientError
from cdp_bridge.http.client import Client
from msgspec import Struct

from .scripted import Answer, Server


class Page(Struct):
    rows: list[int] = []
    next: str | None = None
    total: int = 0

    def cursor(self, _: object) -> dict[str, str] | None:
        return None if self.next is None else {"after": self.next}


def page(rows: list[int], *, headers: dict[str, str] | None = None, **more: Any) -> Answer:
    return 200, headers or {}, json.dumps({"rows": rows, **more}).encode()


def read(server: Server, follow: Any = None, base: str = "", **params: Any) -> list[int]:
    with Client(server.url + base) as client:
        pages = client.pages("/list", follow, type=Page, params=params)
        return [row for one_page in pages for row in one_page.rows]


def number(answer: Page, params: Mapping[str, Any]) -> dict[str, int] | None:
    return {"page": params["page"] + 1} if params["page"] < answer.total else None


def offset(answer: Page, params: Mapping[str, Any]) -> dict[str, int] | None:
    return {"offset": params["offset"] + len(answer.rows)} if answer.rows else None


@pytest.mark.parametrize(
    ("follow", "first", "script", "paths"),
    [
        (number, {"page": 1}, [page([1], total=2), page([2], total=2)], ["page=1", "page=2"]),
        (offset, {"offset": 0}, [page([1, 2]), page([3]), page([])], ["offset=0", "offset=2", "offset=3"]),
        (Page.cursor, {"size": 9}, [page([1], next="b"), page([]  , next="c"), page([2])],
         ["size=9", "size=9&after=b", "size=9&after=c"]),
    ],
)  # fmt: skip
def test_parameters_lead_from_page_to_page(
    server: Server, follow: Any, first: dict[str, Any], script: list[Answer], paths: list[str]
) -> None:
    server.script = list(script)
    expected = [row for _, _, body in script for row in json.loads(body)["rows"]]
    assert read(server, follow, **first) == expected
    assert [path for _, path, _, _ in server.requests] == [f"/list?{query}" for query in paths]


def test_the_link_header_is_followed(server: Server) -> None:
    server.script = [
        page([1], headers={"Link": f'<{server.url}/v1/list?after=b>; rel="next", <{server.url}/v1/list>; rel="first"'}),
        page([2], headers={"Link": '</v1/list?after=c>; rel="next"'}),
        page([3], headers={"Link": f'<{server.url}/v1/list>; rel="first"'}),
    ]
    assert read(server, base="/v1", size=9) == [1, 2, 3]
    paths = ["/v1/list?size=9", "/v1/list?after=b", "/v1/list?after=c"]
    assert [path for _, path, _, _ in server.requests] == paths


def test_a_link_in_the_body_is_followed(server: Server) -> None:
    server.script = [page([1], next="/list?page%5Bafter%5D=b"), page([2])]
    assert read(server, lambda answer, _: answer.next) == [1, 2]
    assert server.requests[1][1] == "/list?page%5Bafter%5D=b"


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.1:9/v1/list?token=hunter2",
        "https://evil.example/v1/list",
        "{url}.evil.example/v1/list",
        "{url}/v10/list",
        "{url}/other",
    ],
)
def test_a_link_to_elsewhere_is_not_followed(server: Server, link: str) -> None:
    server.script = [page([1], headers={"Link": f'<{link.format(url=server.url)}>; rel="next"'})]
    with pytest.raises(ConfigError, match="not below the base URL") as caught:
        read(server, base="/v1")
    assert "hunter2" not in str(caught.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize("cursors", [["b", "b"], ["b", "c", "b"], [""]])
def test_a_list_that_leads_back_is_no_list(server: Server, cursors: list[str]) -> None:
    server.script = [page([1], next=cursor) for cursor in cursors]
    with pytest.raises(TransientError, match="no way to it"):
        read(server, Page.cursor)
    assert len(server.requests) == len(cursors)


def test_a_page_is_asked_for_again_while_that_may_help(server: Server, waits: list[float]) -> None:
    server.script = [page([1], next="b"), (503, {"Retry-After": "7"}, b""), None, page([2])]
    assert read(server, Page.cursor) == [1, 2]
    assert (waits[0], len(waits)) == (7.0, 2)


def test_pages_come_one_at_a_time(server: Server) -> None:
    server.script = [page([1], next="b"), (403, {}, b"")]
    with Client(server.url) as client:
        pages = client.pages("/list", Page.cursor, type=Page)
        assert next(pages).rows == [1]
        assert len(server.requests) == 1
        with pytest.raises(ConfigError):
            next(pages)
