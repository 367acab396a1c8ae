"""The connector packages of this repository, whatever else is installed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

from cdp_bridge import hooks
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.model import Connector

PLUGINS = Path(__file__).parents[2] / "plugins"
NOT_OFFERED = {"hostile"}
"""Folders whose connectors are there to be refused."""


def packages() -> Iterator[tuple[Path, list[Connector]]]:
    """Each folder below plugins/ that brings connectors, with these."""
    for project in sorted(PLUGINS.glob("*/pyproject.toml")):
        points = tomllib.loads(project.read_text())["project"].get("entry-points", {}).get(hooks.PROJECT, {})
        if points and project.parent.name not in NOT_OFFERED:
            registry = Registry(EntryPoint(name, value, hooks.PROJECT) for name, value in points.items())
            yield project.parent, list(registry.connectors.values())
