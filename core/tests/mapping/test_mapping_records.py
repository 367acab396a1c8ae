"""Pages of dicts become Arrow batches that DuckDB reads, whatever the rows hold."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from cdp_bridge.entities import DataMapping
from cdp_bridge.mapping import record_batch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import Run

PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.dates(),
    st.datetimes(),
    st.decimals(),
)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, "a", None], ["1", "a", None]),
        ([True, 1], ["true", "1"]),
        ([2**70, 1], [str(2**70), "1"]),
        (["a", ["b"], None], [["a"], ["b"], None]),
        ([{"x": 1}, "a"], ['{"x": 1}', "a"]),
        ([{"x": 1}, {"x": "a", "y": 2}], [{"x": "1", "y": None}, {"x": "a", "y": 2}]),
        ([[{"x": 1}], {"x": [2]}], [[{"x": [1]}], [{"x": [2]}]]),
        (["a", b"b"], ["a", "b"]),
        ([date(2024, 1, 2), "x", 1.0], ["2024-01-02", "x", "1"]),
        ([datetime(2024, 1, 2, tzinfo=UTC), "x"], ["2024-01-02T00:00:00+00:00", "x"]),
        ([Decimal("1E+30"), Decimal("1E-20")], ["1E+30", "1E-20"]),
        (["\ud800"], ["?"]),
        ([{1: 2}], [{"1": 2}]),
        ([{1, 2}, None], [[1, 2], None]),
    ],
)
def test_conflicts_between_rows(values: list[Any], expected: list[Any]) -> None:
    assert record_batch([{"x": value} for value in values]).column("x").to_pylist() == expected


@pytest.mark.parametrize("rows", [[], [{}], [{}, {}]])
def test_pages_without_keys(connection: duckdb.DuckDBPyConnection, rows: list[dict[str, Any]]) -> None:
    connection.register("page", record_batch(rows))
    assert len(connection.sql("SELECT * FROM page").fetchall()) == len(rows)


def test_keys_that_differ_in_case_do_not_hide_each_other(run: Run) -> None:
    record = {
        "id": "u",
        "Mail": "top",
        "mail": "low",
        "s": {"a": "1", "A": "2", "a\0": "3"},
        "l": [{"k": "4", "K": "5"}],
    }
    found = {
        path: run([record], DataMapping(omniads_field="email", cdp_field=path))[0]["email"]
        for path in ("Mail", "mail", "s.a", "s.A (2)", "l.k", "l.K (2)")
    }
    assert found == {"Mail": ["top"], "mail": ["low"], "s.a": ["1"], "s.A (2)": ["2"], "l.k": ["4"], "l.K (2)": ["5"]}


@pytest.mark.parametrize("key", ['"; DROP TABLE page; --', "'", "a\0b", "c0", "😀", " ", "SELECT", "x" * 10_000])
def test_hostile_keys_survive(run: Run, key: str) -> None:
    quoted = '"' + key.replace('"', '""') + '"'
    row = run([{"id": "u", key: "v"}], DataMapping(omniads_field="email", cdp_field=quoted))[0]
    assert (row["user_id"], row["email"]) == ("u", ["v"])


def test_very_deep_objects_become_text(run: Run) -> None:
    deep: dict[str, Any] = {}
    for _ in range(500):
        deep = {"a": deep}
    assert run([{"id": "u", "x": deep}])[0]["user_id"] == "u"
    assert record_batch([{"x": deep}]).schema.field("x").type == pa.string()


def test_a_batch_with_names_that_duckdb_confuses_is_renamed() -> None:
    struct = pa.StructArray.from_arrays([pa.array(["1"]), pa.array(["2"])], names=["a", "A"])
    batch = record_batch(pa.RecordBatch.from_arrays([struct], names=["s"]))
    assert batch.column("s").to_pylist() == [{"a": "1", "A (2)": "2"}]


def test_bytes_beside_text_in_a_list_are_no_broken_text() -> None:
    batch = record_batch([{"x": ["text", b"\x96"]}])
    assert batch.column("x").to_pylist() == [["text", ""]]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=3), max_size=4))
def test_no_page_is_ever_an_error(run: Run, rows: list[dict[str, Any]]) -> None:
    keys = {key for row in rows for key in row}
    mappings = [
        DataMapping(
            omniads_field="email", cdp_field='"' + key.replace('"', '""') + '"', transformation_rule="lower(value)"
        )
        for key in keys
    ]
    assert len(run(rows, *mappings)) == len(rows)
