"""Makes the images of the bridge and of every connector, or only those that are named, and a bill of materials of each.

Prints what there is then.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from scripts.inventory import images

from . import base, database
from .dated import date
from .layers import CACHE, LOCK, ROOT, closure, digest, install, install_own, kept, layer, pack, run
from .packages import CORE, EXTRAS, SANDBOX, Program, programs, programs_of, project, wanted

BRIDGE, TWINS = "cdp-bridge", "cdp-bridge-sandbox"
INPUTS = "cdp-bridge.inputs"
"""The label that holds a digest of all that an image was made of."""


class Image(NamedTuple):
    """What an image is made of: a Dockerfile with its argument for the image below, and the tar files that it adds."""

    tag: str
    project: Path
    dockerfile: Path
    below: str
    layers: dict[str, Path]
    key: str

    @classmethod
    def of(cls, tag: str, project: Path, kind: str, below: tuple[str, str], **layers: Path) -> Image:
        """`below` is the name of an image, and a text that changes whenever it does."""
        dockerfile = ROOT / f"docker/{kind}.Dockerfile"
        key = digest([dockerfile, below[1].encode(), *(path.name.encode() for path in layers.values())])
        return cls(tag, project, dockerfile, below[0], layers, key)


def main(names: Sequence[str]) -> None:
    """Make what is missing."""
    everything = programs()
    named = [name for name in names if name not in (BRIDGE, TWINS, database.TAG)]
    core = _core()
    made = [core, *(_connector(program, core) for program in (_chosen(everything, named) if names else everything))]
    if not names or BRIDGE in names:
        made.append(_bridge(everything, core))
    if TWINS in names:
        made.append(_sandbox(core))
    stale = [image for image in made if not _is_there(image)]
    for image in stale:
        _build(image)
    if stale:
        date([image.tag for image in stale])
    unknown = [fault for image in made for fault in _bill(image, core)]
    for tag in [*(image.tag for image in made), *([database.image()] if database.TAG in names else [])]:
        print(f"{tag}  {_inspect(tag, '{{.Id}}')}")
    if unknown and not os.environ.get("BASE"):
        place = "drop it in scripts/imaging/base.py, or name its licence in scripts/inventory/debian.py"
        sys.exit("\n".join(f"{fault}: its licence is unknown; {place}" for fault in unknown))


def _chosen(everything: Sequence[Program], names: Sequence[str]) -> Iterator[Program]:
    for name in names:
        found = [program for program in everything if program.name == name] or list(programs_of(Path(name).resolve()))
        if not found:
            known = ", ".join(program.name for program in everything)
            sys.exit(f"There is no connector {name}, and no package with connectors at that path. There are: {known}")
        yield from found


def _core() -> Image:
    locked = closure(wanted(CORE))
    dependencies = layer("dependencies", digest(["\n".join(locked).encode()]), lambda home: install(home, locked))
    core = layer("core", digest(_sources(CORE)), lambda home: install_own(home, CORE))
    below = os.environ.get("BASE") or base.image()
    layers = {"dependencies": dependencies, "core": core, "writable": _writable()}
    return Image.of("cdp-bridge-core", CORE, "core", (below, below), **layers)


def _connector(program: Program, core: Image) -> Image:
    def fill(home: Path) -> None:
        _packages(home, [program.folder])
        (home / "bin/connector").symlink_to(program.name)

    package = layer(program.name, digest([LOCK, *_sources(program.folder)]), fill)
    return Image.of(f"cdp-bridge-{program.name}", program.folder, "connector", (core.tag, core.key), connector=package)


def _bridge(everything: Sequence[Program], core: Image) -> Image:
    folders = list(dict.fromkeys(program.folder for program in everything))
    sources = [source for folder in folders for source in _sources(folder)]
    packages = layer("connectors", digest([LOCK, *sources]), lambda home: _packages(home, folders, *EXTRAS))
    return Image.of(BRIDGE, CORE, "bridge", (core.tag, core.key), connectors=packages)


def _sandbox(core: Image) -> Image:
    package = layer("sandbox", digest([LOCK, *_sources(SANDBOX)]), lambda home: _packages(home, [SANDBOX]))
    return Image.of(TWINS, SANDBOX, "sandbox", (core.tag, core.key), sandbox=package)


def _packages(home: Path, folders: Sequence[Path], *extras: str) -> None:
    """Some of our packages, and what they need that the core does not."""
    alone = closure(wanted(CORE))
    shared = closure(wanted(CORE, *extras) + [requirement for folder in folders for requirement in wanted(folder)])
    install(home, [locked for locked in shared if locked not in alone])
    install_own(home, *folders)


def _writable() -> Path:
    def make(path: Path) -> None:
        for name in ("data", "tmp"):
            (path.with_name("root") / name).mkdir(parents=True)
        pack(path.with_name("root"), path, owner=65532)

    return kept("writable", "1", make)


def _sources(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.name != "tests"]


def _bill(image: Image, core: Image) -> list[str]:
    layers = dict.fromkeys([*core.layers.values(), *image.layers.values()])
    return images.write(image.tag, project(image.project)["version"], layers)


def _is_there(image: Image) -> bool:
    form = f'{{{{index .Config.Labels "{INPUTS}"}}}}'
    return _inspect(image.tag, form) == image.key


def _inspect(tag: str, form: str) -> str:
    command = ["docker", "image", "inspect", "--format", form, tag]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _build(image: Image) -> None:
    described = project(image.project)
    labels = {
        "org.opencontainers.image.title": image.tag,
        "org.opencontainers.image.description": described["description"],
        "org.opencontainers.image.version": described["version"],
        "org.opencontainers.image.licenses": described.get("license", ""),
        INPUTS: image.key,
    }
    with tempfile.TemporaryDirectory(dir=CACHE) as context:
        for name, path in image.layers.items():
            os.link(path, Path(context) / f"{name}.tar")
        options = [f"--label={name}={value}" for name, value in labels.items()]
        options += [f"--file={image.dockerfile}", f"--tag={image.tag}", f"--build-arg=BELOW={image.below}"]
        run("docker", "build", "--quiet", *options, context)


if __name__ == "__main__":
    main(sys.argv[1:])
