"""Implements check, discover and read for files."""

from __future__ import annotations

import difflib
import glob
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from cdp_bridge.sdk import Catalog, ConfigError, Page, Probe, ReadRequest, Stream, TransientError

from source_file.formats import Rows, read_rows
from source_file.segments import count_segments, of_segment
from source_file.settings import Settings

SEGMENTS = Stream(
    name="segments",
    schema={"type": "object", "properties": {"key": {"type": "string"}, "size": {"type": "integer"}}},
    primary_key=("key",),
)
Fingerprint = dict[Path, tuple[int, int, int]]


def check(settings: Settings) -> list[Probe]:
    """Whether the files are there and the first page of each can be read."""

    def first_pages() -> str:
        files = _files(settings)
        for path in files:
            next(_pages(settings, path), None)
        return f"{len(files)} can be read"

    return [Probe.of("files", first_pages)]


def discover(settings: Settings) -> Catalog:
    """One stream of people with the columns of the first file; `segments` too if a column names them."""
    pages = (page for path in _files(settings) for page in _pages(settings, path))
    names = dict.fromkeys(_columns(next(pages, ())))
    schema = {"type": "object", "properties": {name: {} for name in names}, "additionalProperties": True}
    key = (settings.id_column,) if settings.id_column else ()
    people = Stream(name=settings.stream, schema=schema, primary_key=key, membership=True)
    return Catalog((people, SEGMENTS) if _lists_segments(settings) else (people,))


def read(settings: Settings, request: ReadRequest) -> Iterator[Page]:
    """Every row of every file that belongs to the segment asked for; of `segments`, each with its number of rows.

    Nobody at all is a ConfigError, for an empty file is no empty segment; files that change meanwhile are a
    TransientError.
    """
    if request.stream == SEGMENTS.name and _lists_segments(settings):
        yield Page(SEGMENTS.name, _segments(settings))
        return
    if request.stream != settings.stream:
        raise ConfigError(f"there is no stream {request.stream}", place="stream", remedy=f"Ask for {settings.stream}")
    before = _fingerprint(settings)
    count = 0
    for path in before:
        for rows in _pages(settings, path):
            selected = rows
            if settings.segment_column is not None and request.segment is not None:
                selected = of_segment(rows, settings.segment_column, request.segment, path)
            count += len(selected)
            if len(selected):
                # Each row of a table has all columns; JSON objects leave out what they do not have.
                yield Page(request.stream, selected, str(path) if isinstance(selected, pa.RecordBatch) else "")
    if _fingerprint(settings) != before:
        raise _changed(settings)
    if not count:
        problem = f"no row belongs to the segment {request.segment}"
        raise ConfigError(problem, place=settings.path, remedy="Check segment_column and the segment")


def _lists_segments(settings: Settings) -> bool:
    return settings.segment_column is not None and settings.stream != SEGMENTS.name


def _segments(settings: Settings) -> list[dict[str, Any]]:
    counts = Counter[str]()
    for path in _files(settings):
        for rows in _pages(settings, path):
            counts += count_segments(rows, str(settings.segment_column), path)
    return [{"key": name, "size": count} for name, count in sorted(counts.items())]


def _files(settings: Settings) -> list[Path]:
    files = [Path(name) for name in sorted(glob.glob(settings.path, recursive=True)) if Path(name).is_file()]
    if not files:
        raise ConfigError(
            "matches no file",
            place=os.path.abspath(settings.path),
            remedy="Check the path; patterns take * ? [] and **",
        )
    return files


def _fingerprint(settings: Settings) -> Fingerprint:
    """Changes when a file comes, goes, or is written to."""
    stats = {path: path.stat() for path in _files(settings)}
    return {path: (stat.st_size, stat.st_mtime_ns, stat.st_ino) for path, stat in stats.items()}


def _changed(settings: Settings) -> TransientError:
    return TransientError(f"the files at {settings.path} changed while they were read")


def _pages(settings: Settings, path: Path) -> Iterator[Rows]:
    """The pages of one file.

    ConfigError if it cannot be read, lacks a column that the settings name, or is empty where that is not allowed.
    """
    missing = set(filter(None, (settings.id_column, settings.segment_column)))
    known: dict[str, None] = {}
    empty = True
    try:
        for rows in read_rows(path, settings):
            if len(rows):
                empty = False
                known |= dict.fromkeys(_columns(rows) if missing or not known else ())
                missing -= known.keys()
                if isinstance(rows, pa.RecordBatch):
                    _require(missing, known, path)
                yield rows
    except FileNotFoundError:
        raise _changed(settings) from None
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror or type(error).__name__}", place=str(path), remedy="Check its permissions"
        ) from None
    if empty and not settings.allow_empty_files:
        remedy = "Write it again, or set allow_empty_files if others of the pattern have rows"
        raise ConfigError("holds no rows: an empty file is no empty segment", place=str(path), remedy=remedy)
    if not empty:
        _require(missing, known, path)


def _columns(rows: Rows) -> Iterable[str]:
    return rows.schema.names if isinstance(rows, pa.RecordBatch) else (key for row in rows for key in row)


def _require(missing: Collection[str], known: Collection[str], path: Path) -> None:
    for column in sorted(missing):
        # Only what looks like it is shown: in a file without a header, all others are values.
        alike = {name.strip().casefold(): name for name in known}
        close = difflib.get_close_matches(column.strip().casefold(), alike, n=1)
        remedy = f"Did you mean {alike[close[0]]!r}?" if close else "No other column has a name like this"
        raise ConfigError(f"has no column {column}", place=str(path), remedy=remedy)
