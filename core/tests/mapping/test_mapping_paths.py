"""Paths through structs, maps, lists and JSON text, and how every Arrow type is written."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from cdp_bridge.entities import DataMapping
from cdp_bridge.errors import ConfigError
from cdp_bridge.mapping import paths
from hypothesis import given
from hypothesis import strategies as st

from .conftest import Run


def at(run: Run, record: Any, path: str) -> list[str]:
    page = record if isinstance(record, pa.RecordBatch) else [{"id": "u", **record}]
    values: list[str] = run(page, DataMapping(omniads_field="email", cdp_field=path))[0]["email"]
    return values


def column(array: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(["u"]), array], names=["id", "x"])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.b", ["1"]),
        ('a."b"', ["1"]),
        ("ids.ios.idfa", ["X"]),
        ('ids."ios.idfa"', ["X"]),
        ("First Name", ["Ann"]),
        ("dotted.key", ["d"]),
        ('"dotted.key"', ["d"]),
        ('"say ""hi"""', ["q"]),
        ('""', ["empty"]),
        ("mails.address", ["m1", "m2"]),
        ("mails.1.address", ["m2"]),
        ("mails.9.address", []),
        ("tags.0", ["t0"]),
        ("tags", ["t0", "t1"]),
        ("deep.list.items.v", ["1", "2", "3"]),
        ("mails.address.x", []),
        ("absent", []),
        ("a.absent.more", []),
        ("id.b", []),
        ("A.B", []),
        ("größe.✓", ["g"]),
    ],
)
def test_a_path_finds_its_values(run: Run, path: str, expected: list[str]) -> None:
    record = {
        "a": {"b": 1},
        "ids": {"ios.idfa": ["X"], "ios": {"other": "no"}},
        "First Name": "Ann",
        "dotted.key": "d",
        'say "hi"': "q",
        "": "empty",
        "mails": [{"address": "m1"}, {"address": "m2"}],
        "tags": ["t0", "t1"],
        "deep": {"list": [{"items": [{"v": 1}, {"v": 2}]}, {"items": [{"v": 3}]}]},
        "größe": {"✓": "g"},
    }
    assert at(run, record, path) == expected


def test_an_object_is_written_as_json(run: Run) -> None:
    assert json.loads(at(run, {"a": {"b": 1}}, "a")[0]) == {"b": 1}


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ('{"a": {"b": "v"}}', "x.a.b", ["v"]),
        ('{"a": {"b": ["v", "w"]}}', "x.a.b", ["v", "w"]),
        ('{"a": [{"b": "v"}, {"b": 2}]}', "x.a.b", ["v", "2"]),
        ('[{"a": "v"}, {"a": "w"}]', "x.a", ["v", "w"]),
        ('{"a.b": true}', 'x."a.b"', ["true"]),
        ('{"q\\"": 1}', 'x."q"""', ["1"]),
        ('{"a": null}', "x.a", []),
        ("{broken", "x.a", []),
        ("plain", "x.a", []),
    ],
)
def test_json_text_is_entered(run: Run, text: str, path: str, expected: list[str]) -> None:
    assert at(run, {"x": text}, path) == expected


def test_a_map_is_entered_by_key(run: Run) -> None:
    texts = pa.array([[("ios.idfa", ["A", "B"])]], pa.map_(pa.string(), pa.list_(pa.string())))
    objects = pa.array([[("k", {"v": "o"})]], pa.map_(pa.string(), pa.struct([("v", pa.string())])))
    assert at(run, column(texts), "x.ios.idfa") == ["A", "B"]
    assert at(run, column(objects), "x.k.v") == ["o"]
    assert at(run, column(objects), "x.other.v") == []


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([Decimal("12.50")]), "12.5"),
        (pa.array([Decimal("100")]), "100"),
        (pa.array([Decimal("100")], pa.decimal256(60, 2)), "100.00"),
        (pa.array([2**63], pa.uint64()), str(2**63)),
        (pa.array([1e300]), "1e+300"),
        (pa.array([float("inf")]), None),
        (pa.array([1.5], pa.float16()), "1.5"),
        (pa.array([date(1980, 1, 2)]), "1980-01-02"),
        (pa.array(["1980-01-02"]).cast(pa.timestamp("us")), "1980-01-02"),
        (pa.array(["1980-01-02T03:04:05"]).cast(pa.timestamp("s")), "1980-01-02T03:04:05"),
        (pa.array(["1980-01-02T03:04:05"]).cast(pa.timestamp("ns")), "1980-01-02T03:04:05"),
        (pa.array([datetime(1980, 1, 2, tzinfo=timezone(timedelta(hours=2)))]), "1980-01-01T22:00:00"),
        (pa.array([datetime(1980, 1, 2, tzinfo=UTC)]), "1980-01-02"),
        (pa.array(["a"]).dictionary_encode(), "a"),
        (pa.array(["a"], pa.large_string()), "a"),
        (pa.array(["a"], pa.string_view()), "a"),
        (pa.array([b"a"], pa.large_binary()), "a"),
        (pa.array([UUID(int=1)]), "00000000-0000-0000-0000-000000000001"),
        (pa.nulls(1), None),
        (pa.array([["a"]], pa.large_list(pa.large_string())), "a"),
        (pa.array([[b"a"]], pa.list_(pa.binary(1), 1)), "a"),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_every_arrow_type_becomes_text(run: Run, array: pa.Array, expected: str | None) -> None:
    assert at(run, column(array), "x") == ([] if expected is None else [expected])


def test_json_extension_type_is_text(run: Run) -> None:
    array = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": "v"}']))
    assert at(run, column(array), "x.a") == ["v"]


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", '"a', '"a"b', 'a"b', ".".join("a" * 17)])
def test_a_broken_path_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="the path"):
        paths.parse(text)


@given(st.lists(st.text(), min_size=1, max_size=paths.MAX_KEYS))
def test_a_dotted_path_reads_back(keys: list[str]) -> None:
    assert paths.parse(paths.dotted(tuple(keys))) == tuple(keys)
