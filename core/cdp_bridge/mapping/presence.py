"""Finds the fields of a mapping that no record has, since a misspelt one would empty an audience."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from cdp_bridge.errors import ConfigError
from cdp_bridge.mapping import paths

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

Presence = bool | str
"""Whether the records have it; SQL (BOOLEAN, may be NULL) where each record's own text or map must be looked into."""
_MAX_NAMES = 1_000
_LEVELS = 3
# The first row of a file without a header would be taken for names: no address and no number is ever shown.
_MAY_BE_PERSONAL = re.compile(r"@|\d{4}")


class MissingFields:
    """Which dotted paths of `required` no record has had yet; a table must have all `fields`.

    A path counts as there whatever its values are, so null in every record is fine.
    """

    def __init__(self, fields: Sequence[str], required: Sequence[str]) -> None:
        self._fields = fields
        self._missing = {field: paths.parse(field) for field in required}
        self._names: dict[str, None] = {}
        self._has_records = False
        self._table: pa.Schema | None = None

    def check_table(self, schema: pa.Schema, table: str) -> None:
        """ConfigError if a field is no column of the table."""
        if self._table is not None and self._table.equals(schema):
            return
        for field in self._fields:
            if presence(schema, paths.parse(field)) is False:
                raise ConfigError(
                    f"has no column {field}, which the mapping or the consent needs",
                    place=table,
                    remedy=_remedy(field, names(schema)),
                )
        self._table = schema

    def look(self, connection: duckdb.DuckDBPyConnection, schema: pa.Schema) -> None:
        """Take note of a page, which is registered as `page`."""
        self._has_records = True
        if not self._missing:
            return
        presences = {field: presence(schema, path) for field, path in self._missing.items()}
        inside = {field: sql for field, sql in presences.items() if isinstance(sql, str)}
        if inside:
            conditions = ", ".join(f"coalesce(bool_or({sql}), false)" for sql in inside.values())
            source = f"page AS page({paths.columns(len(schema))})"
            (answers,) = connection.execute(f"SELECT {conditions} FROM {source}").fetchall()
            presences.update(zip(inside, answers, strict=True))
        self._missing = {field: path for field, path in self._missing.items() if not presences[field]}
        if self._missing and len(self._names) < _MAX_NAMES:
            self._names.update(dict.fromkeys(names(schema)))

    def check_all(self, place: str) -> None:
        """ConfigError if there were records, and none had a field."""
        for field in self._missing if self._has_records else ():
            raise ConfigError(
                f"no record has the field {field}, which the mapping or the consent needs",
                place=place,
                remedy=_remedy(field, self._names) + "; a field that may be missing takes a default",
            )


def nearest(wanted: str, known: Iterable[str]) -> str | None:
    """The name most like the wanted one, whatever its case and blanks; None if none is like it."""
    plain: dict[str, str] = {}
    for name in known:
        if not _MAY_BE_PERSONAL.search(name):
            plain.setdefault(name.strip().casefold(), name)
    key = wanted.strip().casefold()
    if close := difflib.get_close_matches(key, plain, n=1):
        return plain[close[0]]
    last = key.rpartition(".")[2]
    return next((name for name in plain.values() if name.casefold().rpartition(".")[2] == last), None)


def _remedy(field: str, known: Iterable[str]) -> str:
    close = nearest(field, known)
    return f"Did you mean {close!r}?" if close else "Nothing in it has a name like this; check the path"


def presence(schema: pa.Schema, path: paths.Path) -> Presence:
    """Whether a path leads anywhere; the SQL is over the aliased columns of a page, as that of `paths.read`."""
    for run in paths.runs(path):
        position = schema.names.index(run.key) if run.key in schema.names else -1
        if position >= 0:
            return _inside(f"c{position}", schema.field(position).type, run.rest, 0)
    return False


def names(schema: pa.Schema) -> list[str]:
    """The dotted paths of columns and of the keys in them, some levels deep; at most a thousand."""
    found: list[str] = []
    for field in schema:
        found.extend(_names(field, (), _LEVELS))
        if len(found) >= _MAX_NAMES:
            break
    return found[:_MAX_NAMES]


def _names(field: pa.Field, above: paths.Path, levels: int) -> Iterator[str]:
    import pyarrow.types as is_

    path, kind = (*above, field.name), field.type
    if path != ("",):
        yield paths.dotted(path)
    while is_.is_list(kind) or is_.is_large_list(kind):
        kind = kind.value_type
    if is_.is_struct(kind) and levels > 1:
        for child in kind:
            yield from _names(child, path, levels - 1)


def _inside(sql: str, kind: pa.DataType, path: paths.Path, depth: int) -> Presence:
    import pyarrow as pa
    import pyarrow.types as is_

    if not path:
        return True
    if isinstance(kind, pa.JsonType):
        return _inside(f"CAST({sql} AS VARCHAR)", kind.storage_type, path, depth)
    if is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind) or is_.is_list_view(kind):
        if path[0].isdecimal():
            return _inside(f"{sql}[{int(path[0]) + 1}]", kind.value_type, path[1:], depth)
        element = f"e{depth}"
        inner = _inside(element, kind.value_type, path, depth + 1)
        return inner if isinstance(inner, bool) else f"len(list_filter({sql}, lambda {element}: {inner})) > 0"
    if is_.is_struct(kind):
        for run in paths.runs(path):
            if kind.get_field_index(run.key) >= 0:
                inner_sql = f"struct_extract({sql}, {paths.literal(run.key)})"
                return _inside(inner_sql, kind.field(run.key).type, run.rest, depth)
    elif is_.is_map(kind):
        keys = paths.literal(path[0]), paths.literal(".".join(path))
        return f"list_has_any(map_keys({sql}), [{', '.join(keys)}])"
    elif is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind):
        return _in_json(sql, path)
    return False


def _in_json(sql: str, path: paths.Path) -> str:
    """Whether a JSON text has the path, through objects, or one array of them on the way."""
    places = paths.json_places(path)
    arrays = ", ".join(f"json_type({sql}, {place})" for place in places.arrays)
    has = f"json_type({sql}, {places.plain}) IS NOT NULL OR len(flatten([{arrays}])) > 0"
    return f"CASE WHEN {paths.looks_like_json(sql)} THEN TRY({has}) END"
