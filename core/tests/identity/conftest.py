"""One connection for all tests of the package, and a page made of plain lists."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

import duckdb
import pyarrow as pa
import pytest
from cdp_bridge.identity import compile_profile, register

Page = Mapping[str, Sequence[Sequence[str | None] | None]]


class Run(Protocol):
    """Makes identifiers of a page: output columns as Python lists."""

    def __call__(self, profile: str, page: Page, *, single: Collection[str] = ()) -> dict[str, list[Any]]: ...


@pytest.fixture(scope="session")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        register(connection)
        yield connection


@pytest.fixture(scope="session")
def run(connection: duckdb.DuckDBPyConnection) -> Run:
    """run(profile, page, single=...) -> output columns as Python lists."""

    def run(profile: str, page: Page, *, single: Collection[str] = ()) -> dict[str, list[Any]]:
        columns = {name: pa.array(lists, pa.list_(pa.string())) for name, lists in page.items()}
        connection.register("people", pa.table(columns))
        answer = connection.sql(compile_profile(profile).select(list(page), "people", single=single)).to_arrow_table()
        return dict(answer.to_pydict())

    return run
