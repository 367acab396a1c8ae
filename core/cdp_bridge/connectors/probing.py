"""Asks an account, through its connector and without a run, for probes, streams and some records."""

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
from cdp_bridge.connectors.loading import checked, validated
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
            closing(open_connector(registry, resolver, connector, raw, launcher)) as handle,
            connector_errors(connector),
        ):
            probes = checked(handle.code, handle.settings)
    except SettingsError as error:
        probes = [Probe("settings", False, f"{wrong.place}: {wrong.problem}", wrong.remedy) for wrong in error.errors]
    except ConfigError as error:
        probes = [Probe("settings", False, f"{error.place}: {error.problem}".removeprefix(": "), error.remedy)]
    except BridgeError as error:
        probes = [Probe("check", False, str(error))]
    return [replace(probe, detail=redact(probe.detail), remedy=redact(probe.remedy)) for probe in probes]


@contextmanager
def discovered(
    registry: Registry, connector: Connector, raw: dict[str, Any], resolver: Resolver, launcher: Launcher | None = None
) -> Iterator[Account]:
    """An account that can be asked for records until the end of the block.

    Raises ConfigError, TransientError and others as its connector raises them.
    """
    with closing(open_connector(registry, resolver, connector, raw, launcher)) as handle:
        with connector_errors(connector):
            catalog = validated(Catalog, handle.code.discover(handle.settings))
        yield Account(handle, catalog)
