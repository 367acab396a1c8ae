"""Reads Parquet as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from source_file.json_lines import ROWS
from source_file.opening import malformed, refuse_twice
from source_file.settings import Settings


def read_parquet(path: Path, settings: Settings) -> Iterator[pa.RecordBatch]:
    """Batches of rows; ConfigError for a file that is damaged or has two columns of one name."""
    try:
        with pa.parquet.ParquetFile(path) as file:
            refuse_twice(path, file.schema_arrow.names)
            yield from file.iter_batches(batch_size=ROWS)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        remedy = "Write or copy it again, unencrypted"
        raise malformed(path, "is damaged, or not a readable Parquet file", remedy) from None
