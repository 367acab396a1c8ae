"""A CDP and an ad platform in this process, as a plugin brings them."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint
from typing import Any

from cdp_bridge.connectors.registry import Registry
from cdp_bridge.errors import TransientError
from cdp_bridge.hooks import hookimpl
from cdp_bridge.model import AudienceRef, Catalog, Checkpoint, Connector, Inventory, Page, Probe, ReadRequest, Stream
from cdp_bridge.secrets import Secret
from msgspec import Struct

PARTS = "parts_of_the_server_tests"


class Settings(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What both want."""

    token: Secret | None = None
    account: str = "1"


class Cdp:
    """Two segments, one of them of unknown size."""

    def __init__(self) -> None:
        self.is_down = False
        self.tokens: list[str] = []
        self.segments: list[dict[str, Any]] = [
            {"id": "a1", "key": "vip", "name": "VIP", "size": {"count": 12}},
            {"id": "a2", "key": "new", "name": "New"},
        ]

    def check(self, settings: Settings) -> list[Probe]:
        self.tokens += [settings.token.reveal()] if settings.token else []
        return [Probe("credentials", not self.is_down, remedy="Renew the token")]

    def discover(self, settings: Settings) -> Catalog:
        if self.is_down:
            raise TransientError("the CDP is down")
        return Catalog((Stream(name="audiences"), Stream(name="people", membership=True)))

    def read(self, settings: Settings, request: ReadRequest) -> Iterator[Page | Checkpoint]:
        if request.stream == "audiences":
            yield Page("audiences", self.segments)
        else:
            yield Page("people", [{"id": "u1", "email": "Ada@Example.com"}, {"id": "u2", "email": "nobody"}])


class Platform:
    """Takes people as Meta does."""

    def check(self, settings: Settings) -> list[Probe]:
        return [Probe("credentials", True)]

    def discover(self, settings: Settings) -> Catalog:
        return Catalog((Stream(name="audience", profile="meta", operations=("add", "remove")),))

    def inventory(self, settings: Settings) -> Inventory:
        return Inventory(accounts={"1": "Main"}, audiences=(AudienceRef(id="a1", account="1", name="VIP"),))


def registry(cdp: Cdp) -> Registry:
    """A registry that knows only these two."""
    module: Any = types.ModuleType(PARTS)
    module.cdp, module.platform = cdp, Platform()

    @hookimpl
    def bridge_connectors() -> Iterable[Connector]:
        return (
            Connector(name="source-shop", kind="source", settings=Settings, load=f"{PARTS}:cdp"),
            Connector(name="destination-shop", kind="destination", settings=Settings, load=f"{PARTS}:platform"),
        )

    module.bridge_connectors = bridge_connectors
    sys.modules[PARTS] = module
    return Registry([EntryPoint(PARTS, PARTS, "cdp_bridge")])
