"""Builds the wheel of each package that we give to others, with a bill of materials of each."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from scripts.generated.packages import NOT_OFFERED, PLUGINS
from scripts.imaging.layers import build, closure
from scripts.imaging.packages import CORE, project, wanted

from . import bom, licences, locks
from .images import DIST


def main() -> None:
    """Fill `DIST` and print what was put there."""
    DIST.mkdir(exist_ok=True)
    for folder in [CORE, *offered()]:
        wheel = _wheel(folder)
        wheel.with_name(wheel.name + bom.SUFFIX).write_text(bill(folder, wheel), encoding="utf-8")
        print(wheel.relative_to(DIST.parent))


def offered() -> Iterator[Path]:
    """The folder of each package besides the core."""
    yield from (path.parent for path in sorted(PLUGINS.glob("*/pyproject.toml")) if path.parent.name not in NOT_OFFERED)


def bill(folder: Path, wheel: Path) -> str:
    """The bill of a wheel of the package in that folder."""
    parts = [_own(CORE)] if folder != CORE and _needs_core(folder) else []
    requirements = wanted(folder) + (wanted(CORE) if parts else [])
    for locked in locks.read("\n".join(closure(requirements))):
        metadata = licences.installed(locked)
        licence = licences.of(locked.name, metadata) if metadata else None
        parts.append(bom.Part(bom.pypi(locked.name, locked.version), licence, locked.hashes))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return bom.wheel(_own(folder)._replace(hashes=(digest,)), parts)


def _needs_core(folder: Path) -> bool:
    return any(requirement.startswith("cdp-bridge") for requirement in project(folder)["dependencies"])


def _own(folder: Path) -> bom.Part:
    described = project(folder)
    return bom.Part(bom.pypi(described["name"], described["version"]), described["license"])


def _wheel(folder: Path) -> Path:
    with tempfile.TemporaryDirectory() as place:
        build(folder, Path(place))
        (made,) = Path(place).glob("*.whl")
        return Path(shutil.copy2(made, DIST))


if __name__ == "__main__":
    main()
