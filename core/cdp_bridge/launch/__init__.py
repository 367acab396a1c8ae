"""Starts a connector's process somewhere, and ends it for sure."""

from __future__ import annotations

from ..hooks import hookimpl
from ..model import Launcher


@hookimpl
def bridge_launcher(name: str) -> Launcher | None:
    """`local`: a process of this machine and user; `docker`: a container of this machine's engine."""
    match name:
        case "local":
            from .local import LocalLauncher

            return LocalLauncher()
        case "docker":
            from .containers import DockerLauncher

            return DockerLauncher()
    return None
