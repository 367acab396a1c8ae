"""Chooses the reader of a file's format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
from cdp_bridge.sdk import ConfigError

from source_file.csv_file import read_csv
from source_file.json_lines import read_json_lines
from source_file.opening import SUFFIXES as COMPRESSIONS
from source_file.parquet_file import read_parquet
from source_file.settings import Settings

Rows: TypeAlias = "pa.RecordBatch | Sequence[Mapping[str, Any]]"
Reader = Callable[[Path, Settings], Iterator[Rows]]

READERS: dict[str, Reader] = {"csv": read_csv, "jsonl": read_json_lines, "parquet": read_parquet}
SUFFIXES = {".csv": "csv", ".tsv": "csv", ".tab": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


def read_rows(path: Path, settings: Settings) -> Iterator[Rows]:
    """The rows of a file in pages; ConfigError for an unknown suffix, or a file that is not well-formed."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSIONS]
    form = SUFFIXES.get(suffixes[-1] if suffixes else "") if settings.format == "auto" else settings.format
    if form is None:
        raise ConfigError(
            "its suffix names no known format", place=str(path), remedy="Set format to csv, jsonl or parquet"
        )
    return READERS[form](path, settings)
