"""Finds plugins and registers what they bring; a plugin that fails is reported and not used."""

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
from cdp_bridge.connectors import launch, loading, manifest
from cdp_bridge.connectors.trust import Trust, distribution
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import (
    API_VERSION,
    Connector,
    DeliveryGuarantee,
    Kind,
    Launcher,
    LifecycleEvent,
    Limits,
    MappingFunction,
    OAuth,
)
from cdp_bridge.redact import RedactedStdout, redact
from cdp_bridge.secrets import Secret
from cdp_bridge.texts.visible import visible_line

T = TypeVar("T")
log = logging.getLogger(__name__)

MAX_QUOTED = 200
"""Characters of a text by others in a message."""
EVENT_SECONDS = 5.0
"""The time that one plugin has to handle a lifecycle event."""


class PluginFailure(Struct, frozen=True):
    """A plugin, or a part of it, that is not used, and why."""

    plugin: str
    reason: str


class Registry:
    """The plugins of this process: `connectors` and `functions` by name.

    Without `trust`, the code of all of them is imported. Of those that it does not cover there are the connectors that
    a file in their package describes (see `manifest`), and their code works only where a launcher starts it.
    """

    def __init__(self, points: Iterable[EntryPoint] | None = None, trust: Trust | None = None) -> None:
        self._described: set[str] = set()
        self._failures: list[PluginFailure] = []
        self.connectors: dict[str, Connector] = {}
        self.functions: dict[str, MappingFunction] = {}
        self._points: dict[str, EntryPoint] = {}
        self._origins: dict[str, str] = {}
        self._manager = pluggy.PluginManager(hooks.PROJECT)
        self._manager.add_hookspecs(hooks)
        self._manager.register(launch, name="cdp-bridge")
        # Each is judged by itself: entry points of several distributions may be equal.
        found = [(point, not trust or trust.covers(point)) for point in (self._find() if points is None else points)]
        for point in (point for point, is_trusted in found if is_trusted):
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
        # Last, so that none of them takes a name of those that are trusted.
        for point in (point for point, is_trusted in found if not is_trusted):
            self._describe(point)

    @property
    def failures(self) -> list[PluginFailure]:
        """What is not in use, and why; identity profiles are looked for now, since few commands need them."""
        from cdp_bridge.identity import installed

        for plugin, reason in installed().failures:
            self.report(plugin, reason)
        return self._failures

    def connector(self, name: str, kind: Kind | None = None) -> Connector:
        """The connector of that name (and kind); ConfigError if there is none."""
        connector = self.known(name, kind)
        if connector is None or kind not in (None, connector.kind):
            known = ", ".join(sorted(c.name for c in self.connectors.values() if kind in (None, c.kind)))
            raise ConfigError(
                f"no {kind or 'connector'} named {name} is installed",
                remedy=f"Installed: {known or 'none'}; see cdp-bridge connectors",
            )
        return connector

    def known(self, name: str, kind: Kind | None = None) -> Connector | None:
        """The connector that a plugin brings under that name, or creates for it; None if there is none."""
        return self.connectors.get(name) or self._first("bridge_connector", _connector, name=name, kind=kind)

    def version(self, connector: Connector) -> str:
        """The version of the distribution that brought the connector; empty where it came without one."""
        distribution = self._points[self._origins[connector.name]].dist
        return distribution.version if distribution else ""

    def load(self, connector: Connector) -> Any:
        """The module or object that does the connector's work, imported now; ConfigError if that may not be here."""
        if connector.name in self._described:
            name = distribution(self._points[self._origins[connector.name]])
            raise ConfigError(
                f"{name}, which brings it, is not trusted, so it cannot work in this process",
                place=connector.name,
                remedy=f"Start with --launcher docker, which gives it a container, or with --trust-plugin {name}",
            )
        return loading.implementation(connector)

    def secret(self, reference: str) -> Secret | None:
        """The secret that a plugin resolves a reference to, or None."""
        return self._first("bridge_secret", _secret, reference=reference)

    def launcher(self, name: str) -> Launcher:
        """The launcher of that name; ConfigError if no plugin has it."""
        launcher = self._first("bridge_launcher", _launcher, name=name)
        if launcher is None:
            raise ConfigError(f"there is no launcher named {name}", remedy=f"There are: {', '.join(launch.NAMES)}")
        return launcher

    def notify(self, event: LifecycleEvent) -> None:
        """Send an event to every plugin; logs one that raises, and stops waiting for one after `EVENT_SECONDS`."""
        for implementation in self._implementations("bridge_event"):
            call = threading.Thread(target=self._send_event, args=(implementation, event), daemon=True)
            call.start()
            call.join(EVENT_SECONDS)
            if call.is_alive():
                log.warning(
                    "plugin %s still handles %s after %s s; going on",
                    implementation.plugin_name,
                    event.name,
                    EVENT_SECONDS,
                )

    def report(self, plugin: str, reason: str) -> None:
        """Record and log a failure once, on one redacted line."""
        failure = PluginFailure(plugin, redact(" ".join(reason.split())))
        if failure not in self._failures:
            log.warning("plugin %s: %s", failure.plugin, failure.reason)
            self._failures.append(failure)

    @contextmanager
    def _reporting(self, plugin: str, problem: str, *, quote: bool = True) -> Iterator[None]:
        """Record an exception of a plugin as its failure; `quote` includes the text of the exception."""
        try:
            yield
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except ConfigError as error:
            self.report(plugin, f"{problem}: {error}" if quote else problem)
        # Also SystemExit, which would otherwise end the host.
        except BaseException as error:
            text = str(error) if quote else ""
            self.report(plugin, f"{problem}: {type(error).__name__}" + (f": {text}" if text else ""))

    def _find(self) -> Iterator[EntryPoint]:
        try:
            yield from entry_points(group=hooks.PROJECT)
        except Exception:
            # One distribution with a malformed entry_points.txt breaks the list of all, so take them one by one.
            for distribution in distributions():
                with self._reporting(distribution.metadata["Name"] or "unknown", "its entry points cannot be read"):
                    yield from distribution.entry_points.select(group=hooks.PROJECT)

    def _load(self, point: EntryPoint) -> None:
        # What a plugin prints while it is imported would mix with protocol messages.
        with redirect_stdout(RedactedStdout()):
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

    def _describe(self, point: EntryPoint) -> None:
        """Add the connectors of a plugin whose code may not be imported."""
        name = distribution(point)
        remedy = f"Start with --trust-plugin {name} if you trust it with all that this process may"
        with self._reporting(point.name, f"{name} is not trusted, and not used"):
            if point.name in self._points:
                raise ConfigError("a plugin of this name is loaded already")
            try:
                connectors = manifest.read(point.module)
            except ConfigError as error:
                # It quotes what somebody has packed.
                problem, place = (visible_line(text)[:MAX_QUOTED] for text in (error.problem, error.place))
                raise ConfigError(problem, place=place, remedy=remedy) from None
            self._points[point.name] = point
            for connector in connectors:
                if self._add_connector(point.name, connector):
                    self._described.add(connector.name)
            problem = f"{name} is not trusted: its connectors work with a launcher only, and nothing else of it"
            self.report(point.name, f"{problem}. {remedy}")

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
                answer = _call(implementation, **arguments)
                if (accepted := accept(answer)) is not None:
                    return accepted
                if answer is not None:
                    self.report(implementation.plugin_name, f"{hook} returned a {type(answer).__name__}")
        return None

    def _send_event(self, implementation: pluggy.HookImpl, event: LifecycleEvent) -> None:
        with self._reporting(implementation.plugin_name, f"bridge_event {event.name} failed"):
            _call(implementation, event=event)

    def _add_connector(self, plugin: str, connector: Any) -> bool:
        """Whether it is one that can be used."""
        fault = _fault(connector)
        if fault or connector.name in self.connectors:
            self.report(plugin, fault or f"a connector named {connector.name} exists already; this one is not used")
            return False
        self.connectors[connector.name] = connector
        self._origins[connector.name] = plugin
        return True

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
    """Why a connector cannot be used, or None; msgspec does not check a Struct that is built by hand."""
    if not isinstance(connector, Connector):
        return f"bridge_connectors returned a {type(connector).__name__}, not a Connector"
    if connector.api_version != API_VERSION:
        return f"{connector.name} is built for API version {connector.api_version}; this core speaks {API_VERSION}"
    expected = {
        "name": isinstance(connector.name, str) and connector.name != "",
        "kind": connector.kind in get_args(Kind),
        "settings": isinstance(connector.settings, type) and issubclass(connector.settings, Struct),
        "load": isinstance(connector.load, str) and connector.load != "",
        "delivery": connector.delivery in get_args(DeliveryGuarantee),
        "limits": isinstance(connector.limits, Limits),
        "hosts": isinstance(connector.hosts, tuple) and all(isinstance(host, str) for host in connector.hosts),
        "documentation": isinstance(connector.documentation, str),
        "local": isinstance(connector.local, bool),
        "program": isinstance(connector.program, str),
        "image": isinstance(connector.image, str),
        "oauth": isinstance(connector.oauth, OAuth | None),
    }
    wrong = [name for name, fits in expected.items() if not fits]
    return f"{connector.name} has an unusable {', '.join(wrong)}" if wrong else None
