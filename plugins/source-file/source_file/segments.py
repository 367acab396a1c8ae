"""The segment that a row is in: the same text for the same value, whatever format it comes from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from source_file.formats import Rows
from source_file.opening import malformed


def of_segment(rows: Rows, column: str, segment: str, path: Path) -> Rows:
    """The rows of one segment; who has no value in the column is in none."""
    if isinstance(rows, pa.RecordBatch):
        return rows.filter(pc.equal(_texts(rows, column, path), segment))
    return [row for row in rows if _text(row, column, path) == segment]


def count_segments(rows: Rows, column: str, path: Path) -> Counter[str]:
    """Segment -> how many of the rows are in it."""
    if isinstance(rows, pa.RecordBatch):
        return Counter(filter(None, _texts(rows, column, path).to_pylist()))
    return Counter(text for row in rows if (text := _text(row, column, path)) is not None)


def _texts(rows: pa.RecordBatch, column: str, path: Path) -> pa.Array:
    values = rows[column]
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
        return pa.array([_plain(value) for value in values.to_pylist()], pa.string())
    try:
        return values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise _no_text(path, column, str(values.type).partition("<")[0]) from None


def _text(row: Mapping[str, Any], column: str, path: Path) -> str | None:
    value = row.get(column)
    if isinstance(value, dict | list):
        raise _no_text(path, column, "list" if isinstance(value, list) else "object")
    return _plain(value)


def _plain(value: Any) -> str | None:
    """As CSV has it: `true`, `1` for 1.0, nothing for an empty text and for what is no number."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) or not math.isfinite(value):
        return value if isinstance(value, str) else None
    return str(int(value)) if value == int(value) else str(value)


def _no_text(path: Path, column: str, kind: str) -> Exception:
    remedy = "Write one row for each segment of a person, or name another column"
    return malformed(path, f"has a {kind} in the column {column}, which names no segment", remedy)
