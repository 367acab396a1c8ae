"""Twins on loopback for the tests of the sandbox."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from aiohttp import web
from sandbox import meta


class Served:
    """An application served by a thread of its own until `close`."""

    def __init__(self, app: web.Application) -> None:
        self._loop = asyncio.new_event_loop()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.url = self._run(self._start())

    async def _start(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def close(self) -> None:
        self._run(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class MetaClient:
    """Plain requests to a Meta twin, with the default token, and its controls."""

    token = "sandbox-token"
    account = "act_1001"

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()

    def send(self, method: str, path: str, *, token: str | None = token, **params: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.url}/v26.0/{path}"
        if method == "GET":
            return self.http.get(url, params=params, headers=headers)
        return self.http.request(method, url, json=params, headers=headers, allow_redirects=False)

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.send("GET", path, **params)

    def post(self, path: str, **params: Any) -> requests.Response:
        return self.send("POST", path, **params)

    def delete(self, path: str, **params: Any) -> requests.Response:
        return self.send("DELETE", path, **params)

    def create(self, **fields: Any) -> str:
        wanted = {"name": "VIP", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"} | fields
        return str(self.post(f"{self.account}/customaudiences", **wanted).json()["id"])

    def add(self, audience: str, schema: Any, data: Any, **more: Any) -> requests.Response:
        return self.post(f"{audience}/users", payload={"schema": schema, "data": data}, **more)

    def remove(self, audience: str, schema: Any, data: Any, **more: Any) -> requests.Response:
        return self.delete(f"{audience}/users", payload={"schema": schema, "data": data}, **more)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        response = self.http.request(method, f"{self.url}/_twin/{path}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def configure(self, **patch: Any) -> Any:
        return self.control("POST", "config", patch)

    def advance(self, seconds: float) -> None:
        self.control("POST", "clock", {"advance": seconds})

    def now(self) -> int:
        return int(self.control("GET", "stats")["now"])

    def fault(self, kind: str, path_regex: str = "", **more: Any) -> None:
        self.control("POST", "faults", [{"kind": kind, "match": {"path_regex": path_regex}} | more])

    def lines(self, path: str) -> list[Any]:
        text = self.http.get(f"{self.url}/_twin/{path}").text
        return [json.loads(line) for line in text.splitlines()]

    def held(self, audience: str) -> dict[str, Any]:
        return next(a for a in self.control("GET", "audiences") if a["id"] == audience)


@pytest.fixture
def serve() -> Iterator[Callable[[web.Application], str]]:
    """Serve an application on loopback; returns its base URL."""
    served: list[Served] = []

    def start(app: web.Application) -> str:
        served.append(Served(app))
        return str(served[-1].url)

    yield start
    for each in served:
        each.close()


@pytest.fixture
def person() -> Callable[..., Any]:
    """A person the platform knows, by true identifiers."""

    def make(human_id: str, *, emails: Any = (), phones: Any = (), mobile_ids: Any = ()) -> Any:
        kinds = {"emails": emails, "phones": phones, "mobile_ids": mobile_ids}
        entries = {kind: [SimpleNamespace(true=value) for value in values] for kind, values in kinds.items()}
        return SimpleNamespace(human_id=human_id, **entries)

    return make


@pytest.fixture
def known_people(person: Callable[..., Any]) -> list[Any]:
    """Ann has all identifiers; Bob and Cem of one household share a phone."""
    ann = person(
        "p-ann",
        emails=["ann@example.com", "ann@example.org"],
        phones=["+15550100001"],
        mobile_ids=["aebe52e7-03ee-455a-b3c4-e57283966239"],
    )
    bob = person("p-bob", emails=["bob@example.com"], phones=["+15550100002"])
    return [ann, bob, person("p-cem", emails=["cem@example.com"], phones=["+15550100002"])]


@pytest.fixture
def meta_twin(serve: Callable[[web.Application], str], known_people: list[Any]) -> Iterator[MetaClient]:
    """A fresh Meta twin that knows `known_people`."""
    client = MetaClient(serve(meta.create_app(known_people)))
    yield client
    client.http.close()


@pytest.fixture
def refusal() -> Callable[[requests.Response], tuple[int, int, int | None]]:
    """HTTP status, code and subcode of an answer that must be an error envelope with a trace id."""

    def read(response: requests.Response) -> tuple[int, int, int | None]:
        error = response.json()["error"]
        assert error["fbtrace_id"]
        assert error["message"]
        return response.status_code, error["code"], error.get("error_subcode")

    return read
