"""The API over HTTP, on either database, with a key of each role."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
import requests
from cdp_bridge.connectors.credentials import resolver
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import (
    Activation,
    Bridge,
    CDPConnection,
    ConversionFeed,
    DataMapping,
    DeadLetter,
    DestinationAccount,
    Role,
)
from cdp_bridge.model import Launcher
from cdp_bridge.server.application import application
from cdp_bridge.server.service import configured, listen
from cdp_bridge.server.web.connector_calls import ConnectorCalls
from cdp_bridge.store import Store
from cdp_bridge.testing.configuring import configure

from .shop import Cdp, registry

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULES = (DataMapping(omniads_field="user_id", cdp_field="id"), DataMapping(omniads_field="email", cdp_field="email"))
ORDERS = tuple(DataMapping(omniads_field=name, cdp_field=name) for name in ("event_id", "event_name", "occurred_at"))
BRIDGE = Bridge(
    connections=(CDPConnection(name="crm", cdp_provider="source-shop"),),
    destinations=(DestinationAccount(name="ads", connector="destination-shop"),),
    mappings={"people": RULES, "orders": ORDERS},
    audiences=(Activation(name="vip", connection="crm", segment="vip", destination="ads", mapping="people"),),
    conversions=(ConversionFeed(name="orders", connection="crm", destination="ads", mapping="orders"),),
)
ROLES: tuple[Role, ...] = ("viewer", "operator", "admin")


class Api:
    """A running server and its store; `call` is a request with the key of a role."""

    def __init__(self, store: Store, cdp: Cdp, url: str, connector_calls: ConnectorCalls) -> None:
        self.store, self.cdp, self.url, self.connector_calls = store, cdp, url, connector_calls
        self.keys: dict[str, str] = {role: store.api_keys.create(role, role)[1] for role in ROLES}
        self.keys["seer"] = store.api_keys.create("seer", "operator", sees_hashes=True)[1]
        self.session = requests.Session()

    def call(self, method: str, path: str, body: Any = None, role: str = "admin", **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        authorization = {"Authorization": f"Bearer {self.keys[role]}"} if role in self.keys else {}
        return self.session.request(method, self.url + path, json=body, headers=authorization | named)

    def get(self, path: str, **options: Any) -> Any:
        """The body of a good answer."""
        answer = self.call("GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def all(self, path: str, **options: Any) -> list[Any]:
        """All items of a list, page by page."""
        items, cursor = [], ""
        while True:
            page = self.get(f"{path}{'&' if '?' in path else '?'}{cursor}", **options)
            items += page["items"]
            if "next" not in page or page["next"] is None:
                return items
            cursor = f"cursor={page['next']}"


@contextmanager
def serving(store: Store, plugins: Registry | None = None, launcher: Launcher | None = None) -> Iterator[Api]:
    """A server in a thread of this process; of the shop, or of other plugins."""
    cdp = Cdp()
    url = "https://bridge.example/"
    found = plugins or registry(cdp)
    connector_calls = ConnectorCalls(found, resolver(store, found), launcher)
    app = application(store, found, connector_calls=connector_calls, public_url=url, allowed_hosts=("127.0.0.1",))
    listener, server = listen("127.0.0.1", 0), configured(app)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    api = Api(store, cdp, f"http://127.0.0.1:{listener.getsockname()[1]}", connector_calls)
    with listener, api.session:
        yield api
        server.should_exit = True
        connector_calls.close()
        thread.join()


@contextmanager
def database(name: str, folder: Path, postgres: Callable[[], str]) -> Iterator[str]:
    """The URL of a new store."""
    if name == "sqlite":
        yield f"sqlite:///{folder}/store.db"
        return
    server, database = postgres(), f"api_{uuid.uuid4().hex}"
    with psycopg.connect(f"{server} dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}")
        yield f"postgresql://postgres@/{database}?host={connection.info.host}"
        connection.execute(f"DROP DATABASE {database} WITH (FORCE)")


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def each_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server for a module's tests, once for each database."""
    folder = tmp_path_factory.mktemp("api")
    with (
        database(request.param, folder, lambda: str(request.getfixturevalue("postgres_server"))) as url,
        Store.open(url) as store,
        serving(store) as api,
    ):
        yield api


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server for a module's tests, on SQLite."""
    with Store.open(f"sqlite:///{tmp_path_factory.mktemp('api')}/store.db") as store, serving(store) as api:
        yield api


def _configured(api: Api) -> Api:
    configure(api.store, BRIDGE)
    api.cdp.is_down = False
    return api


@pytest.fixture
def api(server: Api) -> Api:
    """The server with one of everything configured."""
    return _configured(server)


@pytest.fixture
def each_api(each_server: Api) -> Api:
    """The same, once for each database."""
    return _configured(each_server)


class SaveDeadLetters(Protocol):
    """Make dead letters of the audience `vip`, by number."""

    def __call__(self, stop: int, start: int = 0, reason: str = "shop:bad") -> None: ...


@pytest.fixture
def save_dead_letters(api: Api) -> Iterator[SaveDeadLetters]:
    """Make dead letters of the audience `vip`, by number; gone after the test."""
    keys: list[bytes] = []

    def make(stop: int, start: int = 0, reason: str = "shop:bad") -> None:
        made = [number.to_bytes(16, "big") for number in range(start, stop)]
        keys.extend(made)
        dead_letters = [
            DeadLetter(
                audience="vip",
                member_key=key,
                fingerprint=b"f" * 16,
                operation="add",
                reason=reason,
                run_id="r",
                created_at=AT,
            )
            for key in made
        ]
        with api.store.transaction() as transaction:
            transaction.save_dead_letters(dead_letters)

    yield make
    with api.store.transaction() as transaction:
        transaction.delete_dead_letters("vip", keys)
