"""Starts connectors as processes: on this machine, or in containers."""

from __future__ import annotations

from cdp_bridge.hooks import hookimpl
from cdp_bridge.model import Launcher

NAMES = ("local", "docker")


@hookimpl
def bridge_launcher(name: str) -> Launcher | None:
    """`local`: a process of this machine and user; `docker`: a container of this machine's engine."""
    match name:
        case "local":
            from cdp_bridge.connectors.launch.local import LocalLauncher

            return LocalLauncher()
        case "docker":
            from cdp_bridge.connectors.launch.containers import DockerLauncher

            return DockerLauncher()
    return None
