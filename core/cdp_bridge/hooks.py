"""Every place where a plugin may take part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pluggy

from .model import Connector, Launcher, LifecycleEvent, MappingFunction
from .settings import Secret

__all__ = [
    "Launcher",
    "LifecycleEvent",
    "MappingFunction",
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


@hookspec
def bridge_connectors() -> Iterable[Connector]:
    """The connectors that this plugin brings."""


@hookspec
def bridge_functions() -> Mapping[str, MappingFunction]:
    """Named transformations that a mapping's `transformation_rule` may call."""


@hookspec(firstresult=True)
def bridge_secret(reference: str) -> Secret | None:
    """The secret behind a reference such as `vault:path`, or None if the reference is not this plugin's."""


@hookspec(firstresult=True)
def bridge_launcher(name: str) -> Launcher | None:
    """The launcher of that name, or None if it is not this plugin's."""


@hookspec
def bridge_event(event: LifecycleEvent) -> None:
    """Hear of a state change, after it happened; runs isolated and time-limited."""
