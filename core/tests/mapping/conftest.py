"""Mappings run on real pages in a real DuckDB."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import duckdb
import pyarrow as pa
import pytest
from cdp_bridge import engine
from cdp_bridge.entities import Consent, DataMapping
from cdp_bridge.mapping import compile_mapping, record_batch

Functions = Mapping[str, Callable[[str], str | None]]


class Run(Protocol):
    """Maps one page; user_id is mapped from `id` besides."""

    def __call__(
        self,
        records: pa.RecordBatch | Sequence[Mapping[str, Any]],
        *mappings: DataMapping,
        consents: Sequence[Consent] = (),
        functions: Functions | None = None,
    ) -> list[dict[str, Any]]: ...


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with engine.connect("100MB", threads=1) as opened:
        yield opened


@pytest.fixture
def run(connection: duckdb.DuckDBPyConnection) -> Run:
    """Maps one page: `run(records, mapping, ...)`; user_id is mapped from `id` besides."""

    def mapped(
        records: pa.RecordBatch | Sequence[Mapping[str, Any]],
        *mappings: DataMapping,
        consents: Sequence[Consent] = (),
        functions: Functions | None = None,
    ) -> list[dict[str, Any]]:
        user = DataMapping(omniads_field="user_id", cdp_field="id")
        mapper = compile_mapping([user, *mappings], consents, functions or {})
        mapper.register(connection)
        page = record_batch(records)
        connection.register("page", page)
        rows: list[dict[str, Any]] = connection.sql(mapper.select(page.schema)).to_arrow_table().to_pylist()
        assert len(rows) == page.num_rows
        return rows

    return mapped
