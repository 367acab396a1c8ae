"""Folders of installed packages as tar files: what is in them hangs on their input only."""

from __future__ import annotations

import compileall
import hashlib
import py_compile
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache/images"
HOME = "opt/cdp-bridge"
"""Where packages are in an image."""
EPOCH = 315532800
"""The time of every file and image, in seconds: the first that a zip file can hold."""
LOCK = ROOT / "requirements/development.txt"
"""What the tests ran with; an image takes of it what it needs."""
_UV = ROOT / ".cache/uv/bin/uv"


def run(*command: str | Path) -> bytes:
    """What a command prints; exits with its complaint if it fails."""
    done = subprocess.run(list(map(str, command)), capture_output=True, check=False)
    if done.returncode:
        sys.exit(
            f"{' '.join(map(str, command[:4]))} ... failed:\n{(done.stderr or done.stdout).decode(errors='replace')}"
        )
    return done.stdout


def digest(parts: Iterable[bytes | Path]) -> str:
    """Of bytes, files and the files in folders."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            found.update(hashlib.sha256(part).digest())
            continue
        files = [part] if part.is_file() else sorted(one for one in part.rglob("*") if one.is_file())
        for file in files:
            if "__pycache__" not in file.parts:
                found.update(str(file.relative_to(part)).encode() + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:16]


def kept(name: str, key: str, make: Callable[[Path], None]) -> Path:
    """The file of that name that `make` has written for that key, now or before."""
    path = CACHE / f"{name}-{key}"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            make(made := Path(folder) / "made")
            made.rename(path)
    return path


def layer(name: str, key: str, fill: Callable[[Path], None]) -> Path:
    """The tar file of a layer; `fill` puts into a folder what will be under `HOME`."""

    def make(path: Path) -> None:
        folder = path.with_name("root")
        (folder / HOME).mkdir(parents=True)
        fill(folder / HOME)
        pack(folder, path)

    return kept(name, digest([key.encode(), Path(__file__)]), make)


def pack(folder: Path, path: Path, owner: int = 0) -> None:
    """A tar file of a folder without anything that differs from one machine, user or moment to the next."""
    who = (f"--owner={owner}", f"--group={owner}", "--numeric-owner", "--mode=u=rwX,go=rX")
    run("tar", "--sort=name", f"--mtime=@{EPOCH}", "--format=gnu", *who, "-C", folder, "-cf", path, ".")


def closure(wanted: Sequence[str]) -> list[str]:
    """All that some requirements need, with hashes, as locked."""

    def make(path: Path) -> None:
        options = ("--quiet", "--generate-hashes", "--no-header", "--no-annotate", "--python-version", "3.11")
        asked = path.with_name("asked.in")
        asked.write_text("\n".join(wanted))
        run(_UV, "pip", "compile", *options, "--constraint", LOCK, "--output-file", path, asked)

    key = digest([LOCK, "\n".join(wanted).encode()])
    return re.findall(r"^\S+==[^\n]*(?:\n +[^\n]*)*", kept("closure", key, make).read_text(), re.MULTILINE)


def install(folder: Path, requirements: list[str]) -> None:
    """Unpack wheels whose hashes are as locked."""
    if not requirements:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(requirements))
        file.flush()
        _unpack(folder, "--require-hashes", "-r", file.name)
    for script in _scripts(folder):
        script.unlink()
    _compile(folder)


def build(project: Path, folder: Path) -> None:
    """Put the wheel of a package of ours into a folder."""
    run(_UV, "build", "--quiet", "--wheel", "--build-constraints", LOCK, "--out-dir", folder, project)


def install_own(folder: Path, *projects: Path) -> None:
    """Build and unpack packages of ours, with their console scripts."""
    with tempfile.TemporaryDirectory() as wheels:
        for project in projects:
            build(project, Path(wheels))
        _unpack(folder, "--no-index", "--find-links", wheels, *Path(wheels).glob("*.whl"))
    for script in _scripts(folder):
        script.write_text("#!/usr/bin/python3\n" + script.read_text().partition("\n")[2])
    _compile(folder)


def _scripts(folder: Path) -> list[Path]:
    """The console scripts; a wheel may bring programs of another kind too."""
    return [path for path in folder.glob("bin/*") if path.read_bytes().startswith(b"#!")]


def _unpack(folder: Path, *what: str | Path) -> None:
    fitting = ("--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_36")
    # nkeys, pure Python, has no wheel.
    wheels = ("--only-binary", ":all:", "--no-binary", "nkeys", "--build-constraints", LOCK)
    run(_UV, "pip", "install", "--quiet", "--no-deps", "--target", folder, *fitting, *wheels, *what)
    # What says where and when this was done.
    for trace in ("RECORD", "direct_url.json", "uv_cache.json"):
        for path in folder.glob(f"*.dist-info/{trace}"):
            path.unlink()
    (folder / ".lock").unlink(missing_ok=True)


def _compile(folder: Path) -> None:
    """Compile here: the root of a container is read-only."""
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(folder, quiet=2, stripdir=folder, prependdir=f"/{HOME}", invalidation_mode=unchecked)
