"""Fresh virtual environments, with nothing of this one in them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_UV = ROOT / ".cache" / "uv" / "bin" / "uv"
_LOCK = ROOT / "requirements" / "development.txt"


@dataclass(frozen=True)
class Environment:
    """A virtual environment in a folder."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Environment:
        """A new one with this interpreter and no packages."""
        _run(_UV, "venv", "--python", sys.executable, folder)
        return cls(folder)

    @property
    def variables(self) -> dict[str, str]:
        """What a shell has in which it is activated, and nothing that leads into another one."""
        foreign = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")
        kept = {name: value for name, value in os.environ.items() if name not in foreign}
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return kept | {"VIRTUAL_ENV": str(self.folder), "PATH": path}

    def install(self, *wanted: str | Path) -> None:
        """Install from files or the index as pip does, dependencies in the versions of our lock."""
        _run(_UV, "pip", "install", "--python", self.folder / "bin" / "python", "--constraint", _LOCK, *wanted)


def build(project: Path, folder: Path) -> Path:
    """The wheel of a project, put into a folder of its own."""
    _run(_UV, "build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, project)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _run(*command: str | Path) -> None:
    done = subprocess.run([*command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
