"""Finds plugins one by one; one that fails is reported, never fatal."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy
from msgspec import Struct

from . import hooks
from .errors import ConfigError
from .model import API_VERSION, Connector, Kind, Launcher, LifecycleEvent, MappingFunction
from .settings import Secret

log = logging.getLogger(__name__)

EVENT_SECONDS = 5.0
"""How long one plugin may take over one lifecycle event before the core goes on without it."""


class Failure(Struct, frozen=True):
    """Why a plugin, or something that it brought, is not in use."""

    plugin: str
    reason: str


class Registry:
    """The plugins of this process: `connectors` and `functions` by name, and `failures`."""

    def __init__(self, points: Iterable[EntryPoint] | None = None) -> None:
        self.failures: list[Failure] = []
        self.connectors: dict[str, Connector] = {}
        self.functions: dict[str, MappingFunction] = {}
        self._manager = pluggy.PluginManager(hooks.PROJECT)
        self._manager.add_hookspecs(hooks)
        for point in entry_points(group=hooks.PROJECT) if points is None else points:
            self._guard(point.name, "cannot be imported", lambda point=point: self._load(point))
        for plugin, found in self._collect("bridge_connectors"):
            for connector in found:
                self._add_connector(plugin, connector)
        for plugin, named in self._collect("bridge_functions"):
            for name, function in named.items():
                self._add(self.functions, plugin, name, function, "function")

    def connector(self, name: str, kind: Kind | None = None) -> Connector:
        """The connector of that name (and kind); ConfigError if there is none."""
        found = self.connectors.get(name)
        if found is None or kind not in (None, found.kind):
            known = ", ".join(sorted(c.name for c in self.connectors.values() if kind in (None, c.kind)))
            raise ConfigError(
                f"no {kind or 'connector'} named {name} is installed", remedy=f"Installed: {known or 'none'}; see cdp-bridge connectors"
            )
        return found

    def load(self, connector: Connector) -> Any:
        """The module or object that does the connector's work, imported now."""
        path, _, attribute = connector.load.partition(":")
        try:
            module = import_module(path)
            return getattr(module, attribute) if attribute else module
        except Exception as error:
            raise ConfigError(
                f"the connector's code cannot be loaded: {type(error).__name__}", place=connector.name, remedy=f"Reinstall the package that brings {path}"
            ) from error

    def secret(self, reference: str) -> Secret | None:
        """The secret that a plugin knows behind a reference, or None."""
        return self._first("bridge_secret", reference=reference)

    def launcher(self, name: str) -> Launcher:
        """The launcher of that name; ConfigError if no plugin has it."""
        found: Launcher | None = self._first("bridge_launcher", name=name)
        if found is None:
            raise ConfigError(f"no launcher named {name} is installed", remedy="Install a plugin that brings it")
        return found

    def notify(self, event: LifecycleEvent) -> None:
        """Tell every plugin; one that raises is logged, one that hangs is left behind after `EVENT_SECONDS`."""
        for implementation in self._implementations("bridge_event"):
            call = threading.Thread(target=self._hear, args=(implementation, event), daemon=True)
            call.start()
            call.join(EVENT_SECONDS)
            if call.is_alive():
                log.warning("plugin %s still handles %s after %s s; going on", implementation.plugin_name, event.name, EVENT_SECONDS)

    def _load(self, point: EntryPoint) -> None:
        plugin = point.load()
        self._manager.register(plugin, name=point.name)
        for implementation in self._manager.get_hookcallers(plugin) or ():
            if not implementation.has_spec():
                self._manager.unregister(name=point.name)
                raise ConfigError(f"unknown hook {implementation.name}")

    def _guard(self, plugin: str, what: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        # SystemExit at import would otherwise end the host; only the user's own interrupt may.
        except (Exception, SystemExit) as error:
            reason = f"{what}: {error}" if isinstance(error, ConfigError) else f"{what}: {type(error).__name__}: {error}"
            self.failures.append(Failure(plugin, reason))
            return None

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        return list(reversed(getattr(self._manager.hook, hook).get_hookimpls()))

    def _collect(self, hook: str) -> Iterator[tuple[str, Any]]:
        """What each plugin returns from a hook, called on its own: pluggy itself stops at the first exception."""
        for implementation in self._implementations(hook):
            found = self._guard(implementation.plugin_name, f"{hook} failed", implementation.function)
            if found is not None:
                yield implementation.plugin_name, found

    def _first(self, hook: str, **arguments: Any) -> Any:
        for implementation in self._implementations(hook):
            taken = {name: arguments[name] for name in implementation.argnames}
            found = self._guard(implementation.plugin_name, f"{hook} failed", lambda call=implementation.function, taken=taken: call(**taken))
            if found is not None:
                return found
        return None

    def _hear(self, implementation: pluggy.HookImpl, event: LifecycleEvent) -> None:
        self._guard(implementation.plugin_name, f"bridge_event {event.name} failed", lambda: implementation.function(event))

    def _add_connector(self, plugin: str, connector: Any) -> None:
        if not isinstance(connector, Connector):
            self.failures.append(Failure(plugin, f"bridge_connectors returned a {type(connector).__name__}, not a Connector"))
        elif connector.api_version != API_VERSION:
            self.failures.append(
                Failure(plugin, f"{connector.name} is built for API version {connector.api_version}; this core speaks {API_VERSION}")
            )
        else:
            self._add(self.connectors, plugin, connector.name, connector, "connector")

    def _add(self, table: dict[str, Any], plugin: str, name: str, value: Any, what: str) -> None:
        if name in table:
            self.failures.append(Failure(plugin, f"a {what} named {name} exists already; this one is not used"))
        else:
            table[name] = value
