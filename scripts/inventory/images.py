"""The bill of materials of each image, by what is in its layers."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from email.message import Message
from email.parser import BytesParser
from functools import cache
from io import BytesIO
from pathlib import Path

from packageurl import PackageURL
from packaging.utils import canonicalize_name

from scripts.imaging.base import STATUS
from scripts.imaging.layers import LOCK, ROOT, run

from . import bom, licences, locks
from .debian import LICENCES as DEBIAN

DIST = ROOT / "dist"
"""Where bills of materials are, and the wheels."""
_PACKAGE = re.compile(r".*\.dist-info/METADATA")


def write(tag: str, version: str, layers: Iterable[Path]) -> list[str]:
    """Write the bill of an image, to which the tar files of its layers were added; returns what is wrong in it."""
    below = system(_status(tag))
    packages = [part for layer in layers for part in python(layer)]
    DIST.mkdir(exist_ok=True)
    (DIST / f"{tag}{bom.SUFFIX}").write_text(bom.image(tag, version, [*below, *packages]), encoding="utf-8")
    return [f"{part.purl.name} {part.purl.version} in {tag}" for part in below if part.licence is None]


def system(status: bytes) -> list[bom.Part]:
    """The packages of Debian that the files of the folder `STATUS`, in a tar file, are of."""
    parts = []
    for control in _members(BytesIO(status), re.compile(r".+(?<!\.md5sums)")):
        name, version = control["Package"], control["Version"]
        purl = PackageURL("deb", "debian", name, version, {"arch": control["Architecture"], "distro": "bookworm"})
        parts.append(bom.Part(purl, DEBIAN.get(name)))
    return parts


@cache
def python(layer: Path) -> Sequence[bom.Part]:
    """The Python packages in a layer, with the hashes of the lock."""
    locked = {(one.name, one.version): one.hashes for one in locks.read(LOCK.read_text())}
    parts = []
    for metadata in _members(layer, _PACKAGE):
        name, version = canonicalize_name(metadata["Name"]), metadata["Version"]
        parts.append(bom.Part(bom.pypi(name, version), licences.of(name, metadata), locked.get((name, version), ())))
    return parts


def _status(tag: str) -> bytes:
    container = run("docker", "create", tag, "-").decode().strip()
    try:
        return run("docker", "cp", f"{container}:/{STATUS}", "-")
    finally:
        run("docker", "rm", container)


def _members(file: Path | BytesIO, wanted: re.Pattern[str]) -> Iterator[Message]:
    with tarfile.open(file) if isinstance(file, Path) else tarfile.open(fileobj=file) as members:
        for member in members:
            if member.isfile() and wanted.fullmatch(member.name) and (content := members.extractfile(member)):
                yield BytesParser().parse(content)
