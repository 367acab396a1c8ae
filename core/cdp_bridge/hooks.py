"""Specifies the hooks that plugins may implement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pluggy

from cdp_bridge.model import Channel, Connector, Kind, Launcher, LifecycleEvent, MappingFunction
from cdp_bridge.secrets import Secret

__all__ = [
    "Channel",
    "Launcher",
    "LifecycleEvent",
    "MappingFunction",
    "bridge_connector",
    "bridge_connectors",
    "bridge_event",
    "bridge_functions",
    "bridge_launcher",
    "bridge_secret",
    "hookimpl",
]

PROJECT = "cdp_bridge"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Decorates the functions with which a plugin takes part: `@hookimpl` above a function that is named as the hook."""


@hookspec
def bridge_connectors() -> Iterable[Connector]:
    """The connectors that this plugin brings; asked for once, when plugins are found."""


@hookspec(firstresult=True)
def bridge_connector(name: str, kind: Kind | None) -> Connector | None:
    """The connector that a name such as `docker:IMAGE` describes, or None if it is none of this plugin's.

    `kind` is what is wanted, where that is known. Asked for names that no plugin brings; the first that knows it wins.
    """


@hookspec
def bridge_functions() -> Mapping[str, MappingFunction]:
    """Transformations that a mapping's `transformation_rule` may call, by name: a lower-case identifier."""


@hookspec(firstresult=True)
def bridge_secret(reference: str) -> Secret | None:
    """The secret behind a reference such as `vault:path`, or None if the reference is not this plugin's.

    The first plugin that knows it wins; `env:`, `file:`, `store:` and `oauth:` are built in.
    """


@hookspec(firstresult=True)
def bridge_launcher(name: str) -> Launcher | None:
    """The launcher of that name, or None if it is not this plugin's; the first plugin that knows it wins."""


@hookspec
def bridge_event(event: LifecycleEvent) -> None:
    """Hear of a state change after it happened; who takes longer than five seconds is left behind."""
