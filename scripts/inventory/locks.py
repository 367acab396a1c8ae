"""What is locked, and which locks are judged: those of what we give to others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from packaging.utils import canonicalize_name

from scripts.imaging.layers import ROOT, closure
from scripts.imaging.packages import CORE, EXTRAS, SANDBOX, programs, wanted

FOLDER = ROOT / "requirements"
JUDGED = ("runtime", "images")
"""`images` is no file: it is what all images take of `development`."""


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
    judged = files | {"images": read("\n".join(closure(_of_images())))}
    yield from ((name, judged[name]) for name in JUDGED)
    yield from ((name, locked) for name, locked in files.items() if name not in JUDGED)


def _of_images() -> list[str]:
    folders = [SANDBOX, *dict.fromkeys(program.folder for program in programs())]
    return wanted(CORE, *EXTRAS) + [requirement for folder in folders for requirement in wanted(folder)]
