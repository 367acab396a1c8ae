"""Reads pages of rows from a file of each format, with errors that name file and line."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from cdp_bridge.sdk import ConfigError

ROWS = 20_000
Rows: TypeAlias = "pa.RecordBatch | Sequence[Mapping[str, Any]]"
Reader = Callable[[Path], Iterator[Rows]]


def read_csv(path: Path) -> Iterator[pa.RecordBatch]:
    """Comma-separated UTF-8 with a header; every value is text (a phone keeps its zeros), an empty one null."""
    names = _header(path)
    if not names:
        return
    if _open_quote(path):
        # Arrow would take all that follows for one value.
        raise _malformed(path, "has a quote that does not end", "Quote whole values, and double quotes inside them")
    texts = {name: pa.string() for name in names}
    convert = pa.csv.ConvertOptions(column_types=texts, strings_can_be_null=True, null_values=[""])
    parse = pa.csv.ParseOptions(newlines_in_values=True)
    try:
        with pa.csv.open_csv(path, parse_options=parse, convert_options=convert) as batches:
            yield from batches
    except pa.ArrowInvalid:
        # Arrow's own message quotes the row, which holds personal data.
        problem = _undecodable(path) or _ragged(path, len(names)) or "is not well-formed CSV"
        raise _malformed(path, problem, "Save it as UTF-8, and quote values that hold commas") from None


def read_jsonl(path: Path) -> Iterator[list[dict[str, Any]]]:
    """One JSON object a line, in UTF-8; blank lines are passed over."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode

    def rows() -> Iterator[dict[str, Any]]:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    if text := line.removeprefix(b"\xef\xbb\xbf").strip():
                        yield decode(text)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    raise _malformed(path, f"line {number} is no JSON object in UTF-8", "Repair it") from None

    iterator = rows()
    while page := list(islice(iterator, ROWS)):
        yield page


def read_parquet(path: Path) -> Iterator[pa.RecordBatch]:
    """Parquet as it is."""
    try:
        with pa.parquet.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=ROWS)
    except (pa.ArrowException, pa.ArrowNotImplementedError):
        raise _malformed(path, "is not a readable Parquet file", "Write it again, unencrypted") from None


READERS: dict[str, Reader] = {"csv": read_csv, "jsonl": read_jsonl, "parquet": read_parquet}
SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


def reader(path: Path, form: str) -> Reader:
    """The reader of a format, `auto` by the file's suffix; ConfigError for an unknown suffix."""
    chosen = SUFFIXES.get(path.suffix.lower()) if form == "auto" else form
    if chosen is None:
        raise ConfigError(
            "its suffix names no known format", place=str(path), remedy="Set format to csv, jsonl or parquet"
        )
    return READERS[chosen]


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            names = next(csv.reader(text), [])
    except (UnicodeDecodeError, csv.Error):
        raise _malformed(path, _undecodable(path) or "has no readable header", "Save it as UTF-8") from None
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise _malformed(path, f"has two columns named {min(twice)!r}", "Give each column its own name")
    return names


def _ragged(path: Path, width: int) -> str | None:
    """Which row has too many or too few values, if one has."""
    with path.open(encoding="utf-8-sig", newline="") as text:
        rows = csv.reader(text)
        wrong = (row for row in rows if row and len(row) != width)
        return next((f"line {rows.line_num} has {len(row)} values, the header {width}" for row in wrong), None)


def _open_quote(path: Path) -> bool:
    with path.open("rb") as file:
        return sum(chunk.count(b'"') for chunk in iter(lambda: file.read(1 << 20), b"")) % 2 == 1


def _undecodable(path: Path) -> str | None:
    """Which line is not UTF-8, if one is not."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return f"line {number} is not UTF-8"
    return None


def _malformed(path: Path, problem: str, remedy: str) -> ConfigError:
    return ConfigError(problem, place=str(path), remedy=remedy)
