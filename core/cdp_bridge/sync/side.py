"""One end of a sync: a connector with checked settings, in this process or in one of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec import Struct

from ..launch.origins import origins
from ..model import Connector, Launcher
from ..registry import Registry
from ..settings import Resolve, load, seal
from ..transport import Remote


class Side(Struct, frozen=True):
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


Open = Callable[[Connector, dict[str, Any]], Side]
"""`side`, where it is known already who resolves secrets and for which run connectors work."""


def side(
    registry: Registry,
    resolve: Resolve,
    connector: Connector,
    raw: dict[str, Any],
    launcher: Launcher | None = None,
    run: str = "",
    token: int = 0,
) -> Side:
    """A connector with these settings; SettingsError naming each that is wrong.

    `resolve` knows the secrets. The connector works in a process that `launcher` starts for that run and lease; None:
    in this one, if it has no program of its own.
    """
    settings = load(connector.settings, raw, resolve)
    if launcher is None and connector.program:
        launcher = registry.launcher("local")
    if launcher is None:
        return Side(connector, registry.load(connector), settings)
    start = partial(launcher.start, run=run, token=token, hosts=origins(settings))
    return Side(connector, Remote(start, connector, seal(settings)), settings)
