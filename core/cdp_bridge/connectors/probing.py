"""What an account says of itself, asked through its connector without a run: probes, streams, some records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from cdp_bridge.connectors.errors import connector_errors
from cdp_bridge.connectors.handle import ConnectorHandle, open_connector
from cdp_bridge.connectors.items import items_of
from cdp_bridge.connectors.loading import validated
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.errors import BridgeError, ConfigError
from cdp_bridge.mapping import record_batch
from cdp_bridge.model import Catalog, Connector, Inventory, Launcher, Page, Probe, ReadRequest
from cdp_bridge.redact import redact
from cdp_bridge.secrets import Resolver
from cdp_bridge.settings import SettingsError


class Account(Struct, frozen=True):
    """An account whose connector has said what it offers."""

    handle: ConnectorHandle
    catalog: Catalog

    def records(self, request: ReadRequest, most: int) -> list[Mapping[str, Any]]:
        """The first records of a stream."""
        return list(islice(self._records(request), most))

    def inventory(self) -> Inventory:
        """What the credentials reach at the platform; nothing if its connector does not say."""
        if not hasattr(self.handle.code, "inventory"):
            return Inventory()
        with connector_errors(self.handle.connector):
            return validated(Inventory, self.handle.code.inventory(self.handle.settings))

    def _records(self, request: ReadRequest) -> Iterator[Mapping[str, Any]]:
        for item in items_of(self.handle.code, self.handle.connector, self.handle.settings, request):
            if isinstance(item, Page) and item.stream == request.stream:
                yield from record_batch(item.records).to_pylist()


def check(
    registry: Registry, connector: Connector, raw: dict[str, Any], resolver: Resolver, launcher: Launcher | None = None
) -> list[Probe]:
    """The probes of a connector where it works; settings that are wrong are one failed probe each."""
    try:
        with (
            closing(open_connector(registry, resolver, connector, raw, launcher)) as asked,
            connector_errors(connector),
        ):
            found = validated(list[Probe], asked.code.check(asked.settings))
    except SettingsError as error:
        found = [Probe("settings", False, f"{one.place}: {one.problem}", one.remedy) for one in error.errors]
    except ConfigError as error:
        found = [Probe("settings", False, f"{error.place}: {error.problem}".removeprefix(": "), error.remedy)]
    except BridgeError as error:
        found = [Probe("check", False, str(error))]
    return [replace(one, detail=redact(one.detail), remedy=redact(one.remedy)) for one in found]


@contextmanager
def discovered(
    registry: Registry, connector: Connector, raw: dict[str, Any], resolver: Resolver, launcher: Launcher | None = None
) -> Iterator[Account]:
    """An account that can be asked for records until the end of the block.

    Raises ConfigError, TransientError and others as its connector raises them.
    """
    with closing(open_connector(registry, resolver, connector, raw, launcher)) as asked:
        with connector_errors(connector):
            catalog = validated(Catalog, asked.code.discover(asked.settings))
        yield Account(asked, catalog)
