"""Opens a file for its reader: decompressed, and refused with words if it is plainly something else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from cdp_bridge.sdk import ConfigError

SUFFIXES = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
TABBED = {".tsv", ".tab"}
BLOCK = 1_000_000
"""Bytes that are read at a time."""
_HEAD = 512
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
_OTHERS = (
    (b"PK\x03\x04", "is a zip archive or an Excel workbook", "Unpack it, or export the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook", "Export the sheet as CSV"),
    (b"PAR1", "is a Parquet file", "Set format to parquet"),
    (b"%PDF", "is a PDF", "Export the data as CSV"),
)
_PAGES = (b"<!doctype html", b"<html", b"<?xml", b"<head", b"<body")


def malformed(path: Path, problem: str, remedy: str) -> ConfigError:
    """The error of a file; `problem` never quotes what is in it but for the names of columns."""
    return ConfigError(problem, place=str(path), remedy=remedy)


def refuse_twice(path: Path, names: Sequence[str]) -> None:
    """ConfigError if two columns have one name, which is not shown: without a header, it is a value."""
    for number, name in enumerate(names):
        if name in names[:number]:
            columns = f"columns {names.index(name) + 1} and {number + 1}"
            raise malformed(path, f"has two columns of the same name: {columns}", "Give each column its own name")


def compression_of(path: Path, setting: str) -> str | None:
    """How a file is compressed, by the setting or its last suffix; None if it is not."""
    if setting == "auto":
        return SUFFIXES.get(path.suffix.lower())
    return None if setting == "none" else setting


@contextmanager
def opened(path: Path, compression: str) -> Iterator[pa.NativeFile]:
    """The bytes of a text file, decompressed; ConfigError for one that is damaged, or of another kind."""
    chosen = compression_of(path, compression)
    with path.open("rb") as raw:
        _refuse_other_kinds(path, raw.read(_HEAD), chosen)
    try:
        with pa.input_stream(str(path), compression=chosen) as stream:
            yield stream
    except OSError as error:
        if error.errno is not None or chosen is None:
            raise
        raise malformed(path, f"is damaged, or not compressed with {chosen}", "Write or copy it again") from None


def _refuse_other_kinds(path: Path, head: bytes, compression: str | None) -> None:
    for magic, name in _COMPRESSED.items():
        if compression is None and head.startswith(magic):
            raise malformed(path, f"is compressed with {name}", f"Set compression to {name}")
    for magic, problem, remedy in _OTHERS:
        if head.startswith(magic):
            raise malformed(path, problem, remedy)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGES):
        raise malformed(
            path, "is an HTML or XML page, such as a sign-in or an error", "Download it again, and look at it"
        )
