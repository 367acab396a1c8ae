"""A running server that the tests attack, over loopback, and the keys that attackers have."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import (
    Activation,
    Bridge,
    CDPConnection,
    ConversionFeed,
    DataMapping,
    DestinationAccount,
    Role,
)
from cdp_bridge.server.application import application
from cdp_bridge.server.service import configured, listen
from cdp_bridge.store import Store
from cdp_bridge.testing.configuring import configure
from litestar import Litestar

ROLES: tuple[Role, ...] = ("viewer", "operator", "admin")
NAMES = {
    "connectors": "source-file",
    "connections": "crm",
    "destinations": "ads",
    "mappings": "people",
    "audiences": "vip",
    "conversions": "orders",
}
"""What `furnish` configures, by the part of the address that it is under."""
RULES = tuple(DataMapping(omniads_field=name, cdp_field=name) for name in ("user_id", "email"))
ORDERS = tuple(DataMapping(omniads_field=name, cdp_field=name) for name in ("event_id", "event_name", "occurred_at"))
SYNC = {"connection": "crm", "destination": "ads"}
"""What a body of an audience or a conversion feed names of it."""


@dataclass
class Target:
    """A server, its store, and a key of each role."""

    store: Store
    port: int
    keys: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = {role: self.store.api_keys.create(role, role)[1] for role in ROLES}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: Any = None, role: str = "admin") -> requests.Response:
        """One request with the key of a role."""
        headers = {"Authorization": f"Bearer {self.keys[role]}"}
        return requests.request(method, self.url + path, json=body, headers=headers)

    def replace(self, path: str, body: Any) -> requests.Response:
        """Put a resource in place of the one that is there, whichever that is."""
        headers = {"Authorization": f"Bearer {self.keys['admin']}", "If-Match": "*"}
        return requests.put(self.url + path, json=body, headers=headers)

    def remove(self, path: str, etag: str) -> None:
        """Delete a resource that is as it was read."""
        headers = {"Authorization": f"Bearer {self.keys['admin']}", "If-Match": etag}
        requests.delete(self.url + path, headers=headers).raise_for_status()

    def entries(self) -> list[dict[str, Any]]:
        """The audit log, newest first."""
        return list(self.call("GET", "/v1/audit?limit=200").json()["items"])

    def dial(self) -> socket.socket:
        """A connection whose bytes the test writes itself."""
        return socket.create_connection(("127.0.0.1", self.port))


@contextmanager
def attacked(
    store: Store,
    *,
    allowed: tuple[str, ...] = (),
    allowed_hosts: tuple[str, ...] = (),
    public_url: str = "",
    **options: Any,
) -> Iterator[Target]:
    """A server over a store; the options are those of `application` and `configured`.

    Without a `public_url`, browsers find it where it listens.
    """
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        address = public_url or f"http://127.0.0.1:{port}"
        app = application(store, Registry(), public_url=address, allowed=allowed, allowed_hosts=allowed_hosts)
        with serving(app, listener, **options):
            yield Target(store, port)


@contextmanager
def serving(app: Litestar, listener: socket.socket, **options: Any) -> Iterator[None]:
    """An application behind a listening socket; the options are those of `configured`."""
    server = configured(app, **options)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield
    server.should_exit = True
    thread.join()


def furnish(store: Store, folder: Path) -> None:
    """Configure one of everything, with files in a folder."""
    file = folder / "people.csv"
    file.write_text("user_id,email\n1,ada@example.com\n")
    crm = CDPConnection(name="crm", cdp_provider="source-file", api_credentials={"path": str(file)})
    ads = DestinationAccount(name="ads", connector="destination-file", settings={"path": str(folder / "out")})
    vip = Activation(name="vip", connection="crm", segment="people", destination="ads", mapping="people")
    orders = ConversionFeed(name="orders", connection="crm", destination="ads", mapping="orders")
    mappings = {"people": RULES, "orders": ORDERS}
    configure(
        store,
        Bridge(connections=(crm,), destinations=(ads,), mappings=mappings, audiences=(vip,), conversions=(orders,)),
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


@pytest.fixture
def target(store: Store) -> Iterator[Target]:
    """A server with nothing configured."""
    with attacked(store) as running:
        yield running
