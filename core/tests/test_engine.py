"""The DuckDB connection: closed to the outside, bounded, able to spill."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from cdp_bridge import engine


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM '{file}'",
        "SELECT * FROM glob('/*')",
        "COPY (SELECT 1) TO '{file}'",
        "ATTACH '{file}'",
        "EXPORT DATABASE '{file}'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM 'https://example.com/x.parquet'",
        "SET enable_external_access = true",
        "SET threads = 8",
        "SET temp_directory = '/tmp'",
        "RESET memory_limit",
        "SELECT * FROM page",
    ],
)
def test_nothing_outside_can_be_reached(tmp_path: Path, statement: str) -> None:
    page = pa.record_batch({"a": [1]})  # A variable that a replacement scan would find.
    file = tmp_path / "x.csv"
    file.write_text("a\n1\n")
    with engine.connect() as connection, pytest.raises(duckdb.Error):
        connection.execute(statement.format(file=file)).fetchall()
    assert (page.num_rows, file.read_text()) == (1, "a\n1\n")


def test_more_than_the_memory_spills_or_fails_clearly(tmp_path: Path) -> None:
    work = "CREATE TABLE t AS SELECT i, md5(i::VARCHAR) AS m FROM range(1000000) r(i)"
    with engine.connect("20MB", threads=1) as connection, pytest.raises(duckdb.OutOfMemoryException):
        connection.execute(work)
    with engine.connect("20MB", tmp_path / "spill", threads=1) as connection:
        connection.execute(work)
        assert connection.sql("SELECT count(DISTINCT m) FROM t").fetchall() == [(1_000_000,)]
