"""Takes the moment of building out of images, so that the same input is the same image by digest."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from .layers import CACHE, EPOCH, run

_MOMENT = datetime.fromtimestamp(EPOCH, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
_INCIDENTAL = ("container", "container_config", "docker_version", "parent")


def date(tags: Sequence[str]) -> None:
    """Replace images by equal ones that were all made at the same moment."""
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        saved = Path(folder) / "saved.tar"
        run("docker", "save", "--output", saved, *tags)
        load = ["docker", "load", "--quiet"]
        with (
            tarfile.open(saved) as source,
            subprocess.Popen(load, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as loading,
        ):
            assert loading.stdin is not None
            with tarfile.open(fileobj=loading.stdin, mode="w|") as target:
                _copy(source, target)
    if loading.returncode:
        raise SystemExit("docker load failed")


def _copy(source: tarfile.TarFile, target: tarfile.TarFile) -> None:
    manifest = json.load(_file(source, "manifest.json"))
    for image in manifest:
        config = json.dumps(_dated(json.load(_file(source, image["Config"]))), sort_keys=True).encode()
        image["Config"] = hashlib.sha256(config).hexdigest() + ".json"
        _add(target, image["Config"], config)
    for path in dict.fromkeys(path for image in manifest for path in image["Layers"]):
        member = source.getmember(path)
        target.addfile(member, source.extractfile(member))
    _add(target, "manifest.json", json.dumps(manifest).encode())


def _dated(config: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in config.items() if name not in _INCIDENTAL}
    # The legacy builder notes which image it began with.
    kept["config"].pop("Image", None)
    history = [{**entry, "created": _MOMENT} for entry in config["history"]]
    return {**kept, "created": _MOMENT, "history": history}


def _file(source: tarfile.TarFile, name: str) -> IO[bytes]:
    file = source.extractfile(name)
    assert file is not None
    return file


def _add(target: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    target.addfile(member, io.BytesIO(content))
