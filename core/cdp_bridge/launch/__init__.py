"""Starts a connector's process somewhere, and ends it for sure."""

from __future__ import annotations

from ..hooks import hookimpl
from ..model import Launcher


@hookimpl
def bridge_launcher(name: str) -> Launcher | None:
    """`local`: a process of this machine and user."""
    if name != "local":
        return None
    from .local import LocalLauncher

    return LocalLauncher()
