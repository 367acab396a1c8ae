"""Creates folders that only this user can read, and removes those of killed processes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it, so that no secret reaches a disk

_PREFIX = "cdp-bridge-airbyte-"
_YOUNG = 60.0
"""Seconds in which a folder without a lock may be one that is being created."""


@contextlib.contextmanager
def private_files(contents: Mapping[str, bytes]) -> Iterator[Mapping[str, Path]]:
    """Files by name, in memory where there is such a folder."""
    with private_folder(MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        paths = {name: folder / name for name in contents}
        for name, path in paths.items():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(contents[name])
        yield paths


@contextlib.contextmanager
def private_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder, locked as long as this process lives; unlocked ones beside it are of processes that were killed."""
    _sweep(parent or Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent, ignore_cleanup_errors=True) as folder:
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield Path(folder)
        finally:
            os.close(lock)


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        # It is another user's, or another process removed it.
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime < _YOUNG:
                continue
            lock = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(lock)
