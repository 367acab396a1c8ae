"""Writes one file for each batch, numbered, in a folder for each audience; only this user may read them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from cdp_bridge.sdk import Audience, AudienceRef, Batch, Catalog, ConfigError, Outcome, Probe, Stream

from destination_file.formats import ENCODERS
from destination_file.settings import Settings

MAX_NAME_LENGTH = 150
"""The most characters of a marker in a name; file systems take 255, some fewer."""


def check(settings: Settings) -> list[Probe]:
    """Whether the folder can be created and written to."""

    def writable() -> str:
        trial = Path(settings.path, ".check")
        with _explained(trial.parent):
            _make(trial.parent)
            _write(trial, b"")
            trial.unlink()
        return f"{settings.path} can be written"

    return [Probe.of("folder", writable)]


def discover(settings: Settings) -> Catalog:
    """One object: an audience that wants the chosen profile."""
    return Catalog((Stream(name="audience", profile=settings.profile, operations=("add", "remove")),))


@contextlib.contextmanager
def open(settings: Settings) -> Iterator[FileWriter]:
    """A writer into the folder."""
    yield FileWriter(settings)


class FileWriter:
    """Writes each batch as a numbered file whose name ends in a digest of its content."""

    def __init__(self, settings: Settings) -> None:
        self._folder, self._format = Path(settings.path), settings.format

    def ensure(self, audience: Audience) -> AudienceRef:
        """The folder named after the marker; its id also identifies the folder, so that a new one counts as empty."""
        name = _folder_name(audience.marker)
        identity = self._folder / name / f".audience-{self._format}"
        with _explained(identity.parent):
            if not identity.exists():
                _make(identity.parent)
                _write(identity, secrets.token_hex(8).encode())
                _sync(self._folder)
            return AudienceRef(id=f"{name}.{identity.read_text('utf-8', 'replace')}", account=str(self._folder))

    def write(self, batch: Batch) -> Outcome:
        """The file is whole and on disk before this returns; a repeat of the last batch adds none."""
        folder, content = self._folder / batch.audience.id.partition(".")[0], ENCODERS[self._format](batch)
        digest = hashlib.sha256(content).hexdigest()[:16]
        last = max(folder.glob(f"[0-9]*-*-*.{self._format}"), default=Path("0"))
        if not last.stem.endswith(f"-{digest}"):
            number = int(last.stem.partition("-")[0]) + 1
            with _explained(folder):
                _write(folder / f"{number:08}-{batch.operation}-{digest}.{self._format}", content)
        return Outcome()

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        """Nothing is ever pending."""
        return Outcome()


def _folder_name(marker: str) -> str:
    """Without a dot, different for each marker, and short enough for any file system."""
    name = quote(marker, safe="").replace(".", "%2E")
    if len(name) <= MAX_NAME_LENGTH:
        return name
    return f"{name[:MAX_NAME_LENGTH]}-{hashlib.sha256(marker.encode()).hexdigest()}"


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Translate errors of the file system into ConfigError."""
    try:
        yield
    except OSError as error:
        remedy = "Free space, change the permissions or name another folder"
        raise ConfigError(f"cannot be written: {error.strerror}", place=str(folder), remedy=remedy) from error


def _make(folder: Path) -> None:
    """Make a folder, and those above it that are missing; pathlib gives the mode to the last of them only."""
    if not folder.exists():
        _make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _write(path: Path, content: bytes) -> None:
    """Write a file atomically and durably."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
