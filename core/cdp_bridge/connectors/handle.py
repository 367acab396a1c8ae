"""A connector with checked settings, ready to be called: in this process, or in one of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec import Struct

from cdp_bridge.connectors.launch.origins import origins
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.connectors.transport import Remote
from cdp_bridge.model import Connector, Launcher
from cdp_bridge.secrets import Resolver
from cdp_bridge.settings import load, seal


class ConnectorHandle(Struct, frozen=True):
    """A connector, its code, its checked settings."""

    connector: Connector
    code: Any
    settings: Any

    def start(self) -> None:
        """Start its process, if it is to have one."""
        if isinstance(self.code, Remote):
            self.code.start()

    def close(self) -> None:
        """End its process, if it has one."""
        if isinstance(self.code, Remote):
            self.code.close()


class RunIdentity(Struct, frozen=True):
    """The id of a run, and the token of its lease, by which a launcher knows for whom a process works."""

    id: str = ""
    token: int = 0


NO_RUN = RunIdentity()

OpenConnector = Callable[[Connector, dict[str, Any]], ConnectorHandle]
"""`open_connector`, where it is known already who resolves secrets and for which run connectors work."""


def open_connector(
    registry: Registry,
    resolver: Resolver,
    connector: Connector,
    raw: dict[str, Any],
    launcher: Launcher | None = None,
    run: RunIdentity = NO_RUN,
) -> ConnectorHandle:
    """A connector with these settings; SettingsError naming each that is wrong.

    `resolver` knows the secrets. The connector works in a process that `launcher` starts for that run; None:
    in this one, if it has no program of its own.
    """
    settings = load(connector.settings, raw, resolver)
    if launcher is None and connector.program:
        launcher = registry.launcher("local")
    if launcher is None:
        return ConnectorHandle(connector, registry.load(connector), settings)
    start = partial(launcher.start, run=run.id, token=run.token, hosts=origins(settings))
    return ConnectorHandle(connector, Remote(start, connector, seal(settings)), settings)
