"""Finds plugins one by one; one that fails is reported, never fatal."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import EntryPoint, distributions, entry_points
from typing import Any, TypeVar, get_args

import pluggy
from msgspec import Struct

from cdp_bridge import hooks
from cdp_bridge.connectors import launch, loading
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import (
    API_VERSION,
    Connector,
    Delivery,
    Kind,
    Launcher,
    LifecycleEvent,
    Limits,
    MappingFunction,
    OAuth,
)
from cdp_bridge.redact import Aside, redact
from cdp_bridge.secrets import Secret

T = TypeVar("T")
log = logging.getLogger(__name__)

EVENT_SECONDS = 5.0
"""How long one plugin may take over one lifecycle event before the core goes on without it."""


class Failure(Struct, frozen=True):
    """Why a plugin, or something that it brought, is not in use."""

    plugin: str
    reason: str


class Registry:
    """The plugins of this process: `connectors` and `functions` by name."""

    def __init__(self, points: Iterable[EntryPoint] | None = None) -> None:
        self._failures: list[Failure] = []
        self.connectors: dict[str, Connector] = {}
        self.functions: dict[str, MappingFunction] = {}
        self._points: dict[str, EntryPoint] = {}
        self._origins: dict[str, str] = {}
        self._manager = pluggy.PluginManager(hooks.PROJECT)
        self._manager.add_hookspecs(hooks)
        self._manager.register(launch, name="cdp-bridge")
        for point in self._find() if points is None else points:
            with self._reporting(point.name, "cannot be used"):
                self._load(point)
        for implementation in self._implementations("bridge_connectors"):
            plugin = implementation.plugin_name
            with self._reporting(plugin, "bridge_connectors failed"):
                for connector in _call(implementation):
                    self._add_connector(plugin, connector)
        for implementation in self._implementations("bridge_functions"):
            plugin = implementation.plugin_name
            with self._reporting(plugin, "bridge_functions failed"):
                for name, function in dict(_call(implementation)).items():
                    self._add_function(plugin, name, function)

    @property
    def failures(self) -> list[Failure]:
        """What is not in use, and why; identity profiles are looked for now, since few commands need them."""
        from cdp_bridge.identity import installed

        for plugin, reason in installed().failures:
            self.report(plugin, reason)
        return self._failures

    def connector(self, name: str, kind: Kind | None = None) -> Connector:
        """The connector of that name (and kind); ConfigError if there is none."""
        found = self.known(name, kind)
        if found is None or kind not in (None, found.kind):
            known = ", ".join(sorted(c.name for c in self.connectors.values() if kind in (None, c.kind)))
            raise ConfigError(
                f"no {kind or 'connector'} named {name} is installed",
                remedy=f"Installed: {known or 'none'}; see cdp-bridge connectors",
            )
        return found

    def known(self, name: str, kind: Kind | None = None) -> Connector | None:
        """The connector that a plugin brings under that name, or makes of it; None if there is none."""
        return self.connectors.get(name) or self._first("bridge_connector", _connector, name=name, kind=kind)

    def version(self, connector: Connector) -> str:
        """The version of the distribution that brought the connector; empty where it came without one."""
        distribution = self._points[self._origins[connector.name]].dist
        return distribution.version if distribution else ""

    def load(self, connector: Connector) -> Any:
        """The module or object that does the connector's work, imported now."""
        return loading.implementation(connector)

    def secret(self, reference: str) -> Secret | None:
        """The secret that a plugin knows behind a reference, or None."""
        return self._first("bridge_secret", _secret, reference=reference)

    def launcher(self, name: str) -> Launcher:
        """The launcher of that name; ConfigError if no plugin has it."""
        found = self._first("bridge_launcher", _launcher, name=name)
        if found is None:
            raise ConfigError(f"no launcher named {name} is installed", remedy="Install a plugin that brings it")
        return found

    def notify(self, event: LifecycleEvent) -> None:
        """Tell every plugin; one that raises is logged, one that hangs is left behind after `EVENT_SECONDS`."""
        for heard in self._implementations("bridge_event"):
            call = threading.Thread(target=self._hear, args=(heard, event), daemon=True)
            call.start()
            call.join(EVENT_SECONDS)
            if call.is_alive():
                log.warning(
                    "plugin %s still handles %s after %s s; going on", heard.plugin_name, event.name, EVENT_SECONDS
                )

    def report(self, plugin: str, reason: str) -> None:
        """Note a failure once, on one redacted line."""
        failure = Failure(plugin, redact(" ".join(reason.split())))
        if failure not in self._failures:
            log.warning("plugin %s: %s", failure.plugin, failure.reason)
            self._failures.append(failure)

    @contextmanager
    def _reporting(self, plugin: str, what: str, *, quote: bool = True) -> Iterator[None]:
        """Turn whatever a plugin raises into a failure of that plugin; `quote` keeps the exception's own text."""
        try:
            yield
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except ConfigError as error:
            self.report(plugin, f"{what}: {error}" if quote else what)
        # Also SystemExit, which would otherwise end the host.
        except BaseException as error:
            text = str(error) if quote else ""
            self.report(plugin, f"{what}: {type(error).__name__}" + (f": {text}" if text else ""))

    def _find(self) -> Iterator[EntryPoint]:
        try:
            yield from entry_points(group=hooks.PROJECT)
        except Exception:
            # One distribution with a malformed entry_points.txt breaks the list of all, so take them one by one.
            for distribution in distributions():
                with self._reporting(distribution.metadata["Name"] or "unknown", "its entry points cannot be read"):
                    yield from distribution.entry_points.select(group=hooks.PROJECT)

    def _load(self, point: EntryPoint) -> None:
        # What a plugin prints while it is imported would end up among protocol messages.
        with redirect_stdout(Aside()):
            plugin = point.load()
        if point.name in self._points:
            raise ConfigError("a plugin of this name is loaded already")
        try:
            self._manager.register(plugin, name=point.name)
            self._refuse_misfits(plugin)
        except Exception:
            self._manager.unregister(name=point.name)
            raise
        self._points[point.name] = point

    def _refuse_misfits(self, plugin: Any) -> None:
        callers = self._manager.get_hookcallers(plugin)
        if not callers:
            raise ConfigError("it implements no hook", remedy="Decorate its functions with cdp_bridge.sdk.hookimpl")
        for caller in callers:
            if not caller.has_spec():
                raise ConfigError(f"unknown hook {caller.name}")
            if any(i.wrapper or i.hookwrapper for i in caller.get_hookimpls() if i.plugin is plugin):
                raise ConfigError(f"{caller.name} is a wrapper, which this core does not call")

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        return list(reversed(getattr(self._manager.hook, hook).get_hookimpls()))

    def _first(self, hook: str, accept: Callable[[Any], T | None], **arguments: Any) -> T | None:
        for implementation in self._implementations(hook):
            # An exception's text may quote the argument, which is a plain secret where a reference was expected.
            with self._reporting(implementation.plugin_name, f"{hook} failed", quote=False):
                found = _call(implementation, **arguments)
                if (accepted := accept(found)) is not None:
                    return accepted
                if found is not None:
                    self.report(implementation.plugin_name, f"{hook} returned a {type(found).__name__}")
        return None

    def _hear(self, implementation: pluggy.HookImpl, event: LifecycleEvent) -> None:
        with self._reporting(implementation.plugin_name, f"bridge_event {event.name} failed"):
            _call(implementation, event=event)

    def _add_connector(self, plugin: str, connector: Any) -> None:
        fault = _fault(connector)
        if fault or connector.name in self.connectors:
            self.report(plugin, fault or f"a connector named {connector.name} exists already; this one is not used")
        else:
            self.connectors[connector.name] = connector
            self._origins[connector.name] = plugin

    def _add_function(self, plugin: str, name: Any, function: Any) -> None:
        if not (isinstance(name, str) and name.isidentifier() and callable(function)):
            self.report(plugin, "bridge_functions returned something that is not a function with an identifier as name")
        elif name in self.functions:
            self.report(plugin, f"a function named {name} exists already; this one is not used")
        else:
            self.functions[name] = function


def _connector(value: Any) -> Connector | None:
    return None if value is None or _fault(value) else value


def _secret(value: Any) -> Secret | None:
    return value if isinstance(value, Secret) else None


def _launcher(value: Any) -> Launcher | None:
    return value if callable(getattr(value, "start", None)) else None


def _call(implementation: pluggy.HookImpl, **arguments: Any) -> Any:
    # pluggy lets an implementation take fewer arguments than its hook has.
    function: Callable[..., Any] = implementation.function
    return function(**{name: arguments[name] for name in implementation.argnames})


def _fault(connector: Any) -> str | None:
    """What keeps a connector from being used; msgspec does not check a Struct that is built by hand."""
    if not isinstance(connector, Connector):
        return f"bridge_connectors returned a {type(connector).__name__}, not a Connector"
    if connector.api_version != API_VERSION:
        return f"{connector.name} is built for API version {connector.api_version}; this core speaks {API_VERSION}"
    expected = {
        "name": isinstance(connector.name, str) and connector.name != "",
        "kind": connector.kind in get_args(Kind),
        "settings": isinstance(connector.settings, type) and issubclass(connector.settings, Struct),
        "load": isinstance(connector.load, str) and connector.load != "",
        "delivery": connector.delivery in get_args(Delivery),
        "limits": isinstance(connector.limits, Limits),
        "hosts": isinstance(connector.hosts, tuple) and all(isinstance(host, str) for host in connector.hosts),
        "documentation": isinstance(connector.documentation, str),
        "local": isinstance(connector.local, bool),
        "program": isinstance(connector.program, str),
        "oauth": isinstance(connector.oauth, OAuth | None),
    }
    wrong = [name for name, fits in expected.items() if not fits]
    return f"{connector.name} has an unusable {', '.join(wrong)}" if wrong else None
