"""Converts pages of plain dicts to Arrow, whatever types their rows have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from itertools import chain
from typing import Any

import pyarrow as pa

_MAX_DEPTH = 32
"""The most levels of nesting that stay columns; DuckDB is very slow over hundreds."""
_USUAL = 3
"""Levels that records usually have."""
_CONTAINERS = (dict, list, tuple, set, frozenset)


def record_batch(records: pa.RecordBatch | Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """A page as an Arrow batch that DuckDB can read.

    Where rows disagree, a single value beside lists becomes a list of one, and other conflicts become text (objects
    JSON). Of keys that differ only in case, inside one object, the later gets ` (2)` at its end: DuckDB holds them for
    the same.
    """
    if not isinstance(records, pa.RecordBatch):
        records = _from_rows(records)
    if not records.num_columns:
        # DuckDB reads no table without columns.
        return pa.RecordBatch.from_arrays([pa.nulls(records.num_rows)], names=["_"])
    columns = [_readable(column) for column in records.columns]
    return pa.RecordBatch.from_arrays(columns, names=records.schema.names)


def _from_rows(rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    keys = dict.fromkeys(key for row in rows for key in row)
    if not keys:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * len(rows), pa.struct([])))
    return pa.RecordBatch.from_arrays([_array([row.get(key) for row in rows]) for key in keys], names=_names(keys))


def _array(values: list[Any]) -> pa.Array:
    if _is_deep(values):
        return pa.array([_text(value) for value in values], pa.string())
    try:
        array = pa.array(values)
        # Inside lists Arrow takes bytes beside text for text, whatever they hold.
        array.validate(full=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return _reconciled(values)
    if _deeper(array.type, _MAX_DEPTH):
        return pa.array([_text(value) for value in values], pa.string())
    # Arrow takes text beside bytes for bytes, and makes decimals wider than DuckDB reads.
    return _reconciled(values) if "binary" in str(array.type) or "decimal256" in str(array.type) else array


def _reconciled(values: list[Any]) -> pa.Array:
    """An array of values without a common Arrow type."""
    present = [value for value in values if value is not None]
    if any(_is_list(value) for value in present):
        return _lists([value if value is None or _is_list(value) else [value] for value in values])
    if present and all(isinstance(value, Mapping) for value in present):
        return _objects(values)
    return pa.array([_text(value) for value in values], pa.string())


def _is_deep(values: list[Any]) -> bool:
    """Whether a value is nested in very many levels, or in itself, over which Arrow would crash the process."""
    for level in range(2 * _MAX_DEPTH):
        if set(map(type, values)).isdisjoint(_CONTAINERS):
            return False
        objects = [value for value in values if isinstance(value, dict)]
        lists = [value for value in values if isinstance(value, _CONTAINERS[1:])]
        values = [*chain.from_iterable(map(dict.values, objects)), *chain.from_iterable(lists)]
        if level > _USUAL:
            # A value that contains itself twice would double with each level.
            values = list({id(value): value for value in values}.values())
    return True


def _deeper(kind: pa.DataType, levels: int) -> bool:
    return levels == 0 or any(_deeper(kind.field(child).type, levels - 1) for child in range(kind.num_fields))


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset)


def _lists(values: list[Any]) -> pa.Array:
    offsets = [0]
    for value in values:
        offsets.append(offsets[-1] + len(value or ()))
    items = _array([item for value in values for item in value or ()])
    missing = pa.array([value is None for value in values])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items, mask=missing)


def _objects(values: list[Any]) -> pa.Array:
    keys = dict.fromkeys(key for value in values for key in value or ())
    children = [_array([None if value is None else value.get(key) for value in values]) for key in keys]
    missing = pa.array([value is None for value in values])
    return pa.StructArray.from_arrays(children, names=_names(keys), mask=missing)


def _names(keys: Mapping[Any, None]) -> list[str]:
    return [str(key).encode("utf-8", "replace").decode() for key in keys]


def _text(value: Any) -> str | None:
    match value:
        case None:
            return None
        case str():
            text = value
        case bool():
            text = "true" if value else "false"
        case float() if value.is_integer():
            text = str(int(value))
        case bytes():
            text = _decoded(value)
        case date() | datetime() | time():
            text = value.isoformat()
        case Mapping() | list():
            text = _json(value)
        case _:
            text = str(value)
    return text.encode("utf-8", "replace").decode()


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return ""  # Bytes that are no text are of no use as an identifier.


def _json(value: Any) -> str:
    try:
        return json.dumps(value, default=str, ensure_ascii=False, skipkeys=True)
    except (RecursionError, ValueError):
        return ""  # Nested too deep, or in itself.


def _readable(array: pa.Array) -> pa.Array:
    """The array without names that DuckDB takes for one another, and without types that it cannot read."""
    if pa.types.is_decimal256(array.type) or pa.types.is_float16(array.type):
        return array.cast(pa.string())
    kind = _renamed(array.type)
    return array if kind.equals(array.type) else array.view(kind)


def _renamed(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        names = _distinct([field.name for field in kind])
        return pa.struct([pa.field(name, _renamed(field.type)) for name, field in zip(names, kind, strict=True)])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_renamed(kind.value_type)))
    return kind


def _distinct(names: list[str]) -> list[str]:
    taken: set[bytes] = set()
    for position, name in enumerate(names):
        # DuckDB ends a name at NUL and compares names by their ASCII lower case.
        plain = unique = name.replace("\0", "\N{REPLACEMENT CHARACTER}")
        count = 1
        while unique.encode().lower() in taken:
            count += 1
            unique = f"{plain} ({count})"
        taken.add(unique.encode().lower())
        names[position] = unique
    return names
