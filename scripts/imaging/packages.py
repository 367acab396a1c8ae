"""The packages of this repository: their connectors, and what they ask for."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .layers import ROOT

CORE, SANDBOX = ROOT / "core", ROOT / "plugins/sandbox"
EXTRAS = ("docker", "server", "embedded")
"""Of the core, in the bridge's image."""


class Program(NamedTuple):
    """The console script of a connector, and the folder of its package."""

    name: str
    folder: Path


def programs() -> list[Program]:
    """The connectors of all packages here."""
    return [program for folder in sorted((ROOT / "plugins").iterdir()) for program in programs_of(folder)]


def programs_of(folder: Path) -> Iterator[Program]:
    """The connectors that a package brings; none if it announces none."""
    if (folder / "pyproject.toml").exists():
        described = project(folder)
        if "cdp_bridge" in described.get("entry-points", {}):
            yield from (Program(name, folder) for name in described.get("scripts", {}))


def wanted(folder: Path, *extras: str) -> list[str]:
    """The requirements of a package besides the core."""
    described = project(folder)
    lists = [described.get("dependencies", []), *(described["optional-dependencies"][extra] for extra in extras)]
    return [requirement for one in lists for requirement in one if not requirement.startswith("cdp-bridge")]


def project(folder: Path) -> dict[str, Any]:
    """The table `project` of its pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return table
