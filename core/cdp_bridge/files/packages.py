"""Finds installed packages and the files in them, with none of their code run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import resources
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Traversable


def package_of(module: str) -> ModuleSpec | None:
    """The innermost package of a dotted path, found as an import finds it; None if nothing of it is a package."""
    package: ModuleSpec | None = None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = _spec(name, package.submodule_search_locations if package else None)
        if spec is None or spec.submodule_search_locations is None:
            return package
        package = spec
    return package


def folder(package: ModuleSpec) -> Traversable:
    """The folder of a package, also where that is a part of an archive."""
    if package.loader is None and package.submodule_search_locations:
        # Without an __init__.py there may be several, of which the first is imported from first.
        return Path(next(iter(package.submodule_search_locations)))
    # Not module_from_spec: that loads the library of a package that is compiled.
    module = ModuleType(package.name)
    module.__spec__ = package
    return resources.files(module)


def _spec(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    # importlib.util.find_spec would import the packages above.
    specs = (finder.find_spec(name, path) for finder in sys.meta_path)
    return next((spec for spec in specs if spec is not None), None)
