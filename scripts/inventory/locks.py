"""What is locked, and which locks are judged: those of what we give to others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from packaging.utils import canonicalize_name

from scripts.imaging.layers import ROOT, closure
from scripts.imaging.packages import CORE, EXTRAS, SANDBOX, programs, project, wanted

FOLDER = ROOT / "requirements"
JUDGED = ("runtime", "images", "extras")
"""The last two are no files: they are what all images, and all extras but one, take of `development`."""
WITH_GPL = ("cdp-bridge-airbyte", "cdk")
"""The only extra that brings code under the GPL, and the package that has it."""


class Locked(NamedTuple):
    """A version of a package, and the SHA-256 of each of its files."""

    name: str
    version: str
    hashes: tuple[str, ...]


def read(text: str) -> list[Locked]:
    """What is pinned in a hashed requirements file, by name in its canonical spelling."""
    found = re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==([^\s;]+)([^\n]*(?:\n +[^\n]*)*)", text, re.MULTILINE)
    return [
        Locked(canonicalize_name(name), version, tuple(re.findall(r"--hash=sha256:(\w+)", rest)))
        for name, version, rest in found
    ]


def locks() -> Iterator[tuple[str, list[Locked]]]:
    """Each lock by its name, the judged ones first."""
    files = {path.stem: read(path.read_text()) for path in sorted(FOLDER.glob("*.txt"))}
    taken = {"images": _of_images(), "extras": _of_extras()}
    judged = files | {name: read("\n".join(closure(requirements))) for name, requirements in taken.items()}
    yield from ((name, judged[name]) for name in JUDGED)
    yield from ((name, locked) for name, locked in files.items() if name not in JUDGED)


def _of_images() -> list[str]:
    folders = [SANDBOX, *dict.fromkeys(program.folder for program in programs())]
    return wanted(CORE, *EXTRAS) + [requirement for folder in folders for requirement in wanted(folder)]


def _of_extras() -> list[str]:
    requirements = []
    for folder in [CORE, *(path.parent for path in sorted(ROOT.glob("plugins/*/pyproject.toml")))]:
        described = project(folder)
        extras = [one for one in described.get("optional-dependencies", ()) if (described["name"], one) != WITH_GPL]
        requirements += wanted(folder, *extras) if extras else []
    return requirements
