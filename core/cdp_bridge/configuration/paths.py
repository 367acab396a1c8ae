"""Makes the relative paths of a configuration absolute, and refuses them where nothing says from which folder."""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from cdp_bridge import settings
from cdp_bridge.entities import Bridge
from cdp_bridge.errors import ConfigError
from cdp_bridge.files import resolved

if TYPE_CHECKING:
    from cdp_bridge.connectors.registry import Registry

Settings = dict[str, Any]
_FILE = "file:"


def anchored(bridge: Bridge, registry: Registry, folder: Path) -> Bridge:
    """The configuration, whose settings fit their types, with every path in it as seen from that folder."""

    def of(connector: str, raw: Settings) -> Settings:
        return _anchored_settings(_schema(registry, connector), raw, folder)

    return replace(
        bridge,
        connections=tuple(
            replace(account, api_credentials=of(account.cdp_provider, account.api_credentials))
            for account in bridge.connections
        ),
        destinations=tuple(
            replace(account, settings=of(account.connector, account.settings)) for account in bridge.destinations
        ),
        suppressions=tuple(resolved("path", file, folder) for file in bridge.suppressions),
    )


def relative(bridge: Bridge, registry: Registry) -> Iterator[ConfigError]:
    """An error for each relative path in the settings of accounts; connectors that are not installed have none."""
    accounts = [
        *(
            (f"connections.{number}.api_credentials", account.cdp_provider, account.api_credentials)
            for number, account in enumerate(bridge.connections)
        ),
        *(
            (f"destinations.{number}.settings", account.connector, account.settings)
            for number, account in enumerate(bridge.destinations)
        ),
    ]
    for place, connector, raw in accounts:
        try:
            schema = _schema(registry, connector)
        except ConfigError:
            continue
        for path, value, absolute in _paths(schema, raw, Path("/")):
            if value != absolute:
                yield ConfigError(
                    "is a relative path, and nothing says from which folder",
                    place=".".join((place, *map(str, path))),
                    remedy="Give it whole, beginning with /",
                )


def _anchored_settings(schema: Settings, raw: Settings, folder: Path) -> Settings:
    changed = copy.deepcopy(raw)
    for path, _, absolute in _paths(schema, raw, folder):
        *outer, last = path
        functools.reduce(operator.getitem, outer, changed)[last] = absolute
    return changed


def _paths(schema: Settings, raw: Settings, folder: Path) -> Iterator[tuple[tuple[Any, ...], str, str]]:
    """Each setting that names a file: its path in the settings, its value, and that as seen from the folder."""
    for setting in settings.local(schema, raw):
        yield setting.path, setting.value, resolved(setting.kind, setting.value, folder)
    for path, value in settings.secrets(schema, raw).items():
        if value.startswith(_FILE):
            yield path, value, f"{_FILE}{resolved('path', value.removeprefix(_FILE), folder)}"


def _schema(registry: Registry, connector: str) -> Settings:
    return settings.schema(registry.connector(connector).settings)
