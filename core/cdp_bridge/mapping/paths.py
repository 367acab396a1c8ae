"""Parses dotted record paths, and builds the SQL that reads one from a page as text.

A path is keys joined by dots; a key in double quotes may itself hold dots. At each level the longest run of keys that
is a key of the record wins, so `identifiers.ios.idfa` finds the key `ios.idfa` as `identifiers."ios.idfa"` does. A path
through a list gives the values of all its elements, a number in it one element (from 0). Text is entered as JSON, key
by key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from cdp_bridge.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

Path = tuple[str, ...]
MAX_KEYS = 16
_KEY = re.compile(r'"((?:[^"]|"")*)"|([^."]+)')


class Read(NamedTuple):
    """SQL for one value (VARCHAR, or NULL), or for `many` values (VARCHAR[], or NULL; elements may be NULL)."""

    sql: str
    many: bool


ABSENT = Read("NULL::VARCHAR", many=False)


def parse(text: str) -> Path:
    """The keys of a path; ConfigError with the position if it is malformed."""
    keys: list[str] = []
    position = 0
    while True:
        match = _KEY.match(text, position)
        if match is None:
            raise ConfigError(
                f"the path has no key at column {position + 1}",
                remedy='Put a key with dots or quotes in double quotes: a."b.c"',
            )
        keys.append(match[2] if match[1] is None else match[1].replace('""', '"'))
        position = match.end()
        if position == len(text):
            break
        if text[position] != ".":
            raise ConfigError(f"the path lacks a dot at column {position + 1}", remedy="Join keys by dots")
        position += 1
    if len(keys) > MAX_KEYS:
        raise ConfigError(f"the path has more than {MAX_KEYS} keys", remedy="Name a field nearer to the record's top")
    return tuple(keys)


def dotted(path: Path) -> str:
    """The path as text that `parse` reads back; keys that need no quotes have none."""
    return ".".join(
        key if _KEY.fullmatch(key) and '"' not in key else '"' + key.replace('"', '""') + '"' for key in path
    )


def columns(count: int) -> str:
    """The relation's column aliases, by position: no field name of a page ever reaches SQL as a name."""
    return ", ".join(f"c{position}" for position in range(count))


def read(schema: pa.Schema, path: Path) -> Read:
    """SQL for a path over the aliased columns of a page; absent from the schema, it is one NULL."""
    for run in runs(path):
        position = schema.names.index(run.key) if run.key in schema.names else -1
        if position >= 0:
            return _enter(f"c{position}", schema.field(position).type, run.rest, 0)
    return ABSENT


def literal(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


class Run(NamedTuple):
    """The first keys of a path as one key of a record, and the `rest` of the path."""

    key: str
    rest: Path


class JsonPlaces(NamedTuple):
    """SQL literals of a path into a JSON text: through objects, and through one array at each level."""

    plain: str
    arrays: tuple[str, ...]


def runs(path: Path) -> Iterable[Run]:
    """Every way to split off the first key; the longest, which wins, first."""
    return (Run(".".join(path[:count]), path[count:]) for count in range(len(path), 0, -1))


def _enter(sql: str, kind: pa.DataType, path: Path, depth: int) -> Read:
    import pyarrow as pa
    import pyarrow.types as is_

    if isinstance(kind, pa.JsonType):
        sql, kind = f"CAST({sql} AS VARCHAR)", kind.storage_type
    if is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind) or is_.is_list_view(kind):
        return _enter_list(sql, kind.value_type, path, depth)
    if not path:
        return Read(_text(sql, kind), many=False)
    if is_.is_struct(kind):
        for run in runs(path):
            if kind.get_field_index(run.key) >= 0:
                return _enter(f"struct_extract({sql}, {literal(run.key)})", kind.field(run.key).type, run.rest, depth)
    elif is_.is_map(kind):
        nested = is_.is_nested(kind.item_type) and not is_.is_list(kind.item_type)
        key, rest = (path[0], path[1:]) if nested else (".".join(path), ())
        return _enter(f"map_extract_value({sql}, {literal(key)})", kind.item_type, rest, depth)
    elif is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind):
        return _enter_json(sql, path)
    return ABSENT


def _enter_list(sql: str, kind: pa.DataType, path: Path, depth: int) -> Read:
    import pyarrow.types as is_

    if path and path[0].isdecimal():
        return _enter(f"{sql}[{int(path[0]) + 1}]", kind, path[1:], depth)
    if not path and is_.is_string(kind):
        return Read(sql, many=True)
    element = f"e{depth}"
    inner = _enter(element, kind, path, depth + 1)
    if inner == ABSENT:
        return ABSENT
    each = f"list_transform({sql}, lambda {element}: {inner.sql})"
    return Read(f"flatten({each})" if inner.many else each, many=True)


def json_places(path: Path) -> JsonPlaces:
    """Where a path may lead in a JSON text."""
    keys = ['."' + key.replace("\\", "\\\\").replace('"', '\\"') + '"' for key in path]
    inside = ["$" + "".join(keys[:level]) + "[*]" + "".join(keys[level:]) for level in range(len(keys) + 1)]
    return JsonPlaces(literal("$" + "".join(keys)), tuple(map(literal, reversed(inside))))


def looks_like_json(sql: str) -> str:
    """SQL: most texts are not JSON, and an error costs far more than a look at the first character."""
    return f"ltrim({sql})[1] IN ('{{', '[')"


def _enter_json(sql: str, path: Path) -> Read:
    """Values at a path of a JSON text: a plain one, the elements of an array, or of objects in one array on the way."""
    places = json_places(path)
    arrays = ", ".join(f"json_extract_string({sql}, {place})" for place in places.arrays)
    plain = f"json_extract_string({sql}, {places.plain})"
    nested = f"coalesce(json_type({sql}, {places.plain}), 'ARRAY') = 'ARRAY'"
    values = f"CASE WHEN {nested} THEN flatten([{arrays}]) ELSE [{plain}] END"
    return Read(f"CASE WHEN {looks_like_json(sql)} THEN TRY({values}) END", many=True)


def _text(sql: str, kind: pa.DataType) -> str:
    """One value as a person would write it: 42 for the float 42.0, ISO dates, true and false, JSON for objects."""
    import pyarrow.types as is_

    if is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind):
        return sql
    if is_.is_floating(kind):
        whole = f"CAST(CAST({sql} AS HUGEINT) AS VARCHAR)"
        other = f"WHEN isfinite({sql}) THEN CAST({sql} AS VARCHAR)"
        return f"CASE WHEN {sql} = trunc({sql}) AND abs({sql}) < 1e18 THEN {whole} {other} END"
    if is_.is_decimal(kind) and kind.scale > 0:
        return f"rtrim(rtrim(CAST({sql} AS VARCHAR), '0'), '.')"
    if is_.is_timestamp(kind):
        # Through microseconds a time with zone becomes UTC, whatever zone the machine is in.
        moment = f"make_timestamp(epoch_us({sql}))"
        return (
            f"CASE WHEN {moment} = date_trunc('day', {moment}) THEN strftime({moment}, '%Y-%m-%d') "
            f"ELSE strftime({moment}, '%Y-%m-%dT%H:%M:%S') END"
        )
    if is_.is_binary(kind) or is_.is_large_binary(kind) or is_.is_binary_view(kind) or is_.is_fixed_size_binary(kind):
        return f"TRY(decode({sql}))"
    if is_.is_struct(kind) or is_.is_map(kind):
        return f"CAST(to_json({sql}) AS VARCHAR)"
    return f"CAST({sql} AS VARCHAR)"
