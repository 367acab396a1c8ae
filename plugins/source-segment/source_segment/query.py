"""Writes the SQL over the tables of Profiles Sync (segment.md section 8), once, in DuckDB's dialect."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property

import sqlglot
from msgspec import Struct
from sqlglot.dialects.dialect import Dialect, NormalizationStrategy

TABLES = {
    "user_traits": "canonical_segment_id, name, value, seq, received_at, uuid_ts",
    "user_identifiers": "canonical_segment_id, type, value, seq, received_at, uuid_ts",
    "profile_merges": "canonical_segment_id, segment_id, received_at, uuid_ts",
}
"""The columns read of each table; `timestamp` is empty on backfilled rows and so is never used."""

TRUE = ("true", "1")
"""What a flag trait of a member says, as lower-case text."""

LISTS = frozenset({"duckdb", "postgres"})
"""Dialects that aggregate ordered lists into columns Arrow understands; the others send sorted rows to fold here."""


class Selection(Struct, frozen=True):
    """What is read of the people of one audience: identifier types, traits, and since when (None: all members).

    Types and traits go by position in the SQL (`i0`, `t0`, ...), for their names may be anything.
    """

    key: str
    types: tuple[str, ...]
    traits: tuple[str, ...]
    since: datetime | None = None

    @property
    def all_types(self) -> tuple[str, ...]:
        """The types to fold; the first is always `user_id`."""
        return ("user_id", *(kind for kind in self.types if kind != "user_id"))

    @property
    def all_traits(self) -> tuple[str, ...]:
        """The traits to fold; the first is always the membership flag."""
        return (self.key, *(name for name in self.traits if name != self.key))


class Queries:
    """The statements for one schema in one dialect."""

    def __init__(self, schema: str, dialect: str) -> None:
        self._dialect = dialect
        self._schema = schema

    @cached_property
    def _prefix(self) -> str:
        # Segment lets Snowflake fold its names to upper case; a quoted lower-case name would not be found there.
        strategy = Dialect.get_or_raise(self._dialect).NORMALIZATION_STRATEGY
        folds = strategy is NormalizationStrategy.UPPERCASE and self._schema.isidentifier() and self._schema.islower()
        return ".".join(part if folds else identifier(part) for part in self._schema.split("."))

    def probe(self, table: str) -> str:
        """No rows, but an error if the table or a column is missing or forbidden."""
        return self._sql(f"SELECT {TABLES[table]} FROM {self._prefix}.{table} WHERE 1 = 0")

    def newest(self) -> str:
        """One row a table: its name and its last change."""
        newest = "max(coalesce(uuid_ts, received_at)) AS newest"
        parts = (f"SELECT {literal(table)} AS name, {newest} FROM {self._prefix}.{table}" for table in TABLES)
        return self._sql(" UNION ALL ".join(parts))

    def names(self, types: Iterable[str] | None, traits: Iterable[str] | None) -> str:
        """Rows `kind` ('i' or 't') and `name`: the types and traits that exist, of those asked for (None: of all)."""
        return self._sql(f"""
            SELECT DISTINCT 'i' AS kind, type AS name FROM {self._prefix}.user_identifiers WHERE {_among("type", types)}
            UNION ALL
            SELECT DISTINCT 't' AS kind, name AS name FROM {self._prefix}.user_traits WHERE {_among("name", traits)}""")

    def size(self, selection: Selection) -> str:
        """One row `people`: how many there are to be read."""
        return self._sql(f"WITH {self._people(selection)} SELECT count(*) AS people FROM people")

    def members(self, selection: Selection, share: tuple[int, int] = (0, 1)) -> str:
        """One row a person, as `fold` makes it; `share` (number, of how many) takes a part of them, in DuckDB only."""
        return self._sql(f"WITH {self._facts(selection, share)} {fold(selection)}")

    def facts(self, selection: Selection) -> str:
        """Rows `canonical_segment_id, kind, name, value, seq`, the rows of one person side by side."""
        return self._sql(f"""
            WITH {self._facts(selection)}
            SELECT canonical_segment_id, 'i' AS kind, type AS name, value, seq FROM identifiers
            UNION ALL
            SELECT canonical_segment_id, 't' AS kind, name, value, 0 AS seq FROM traits
            ORDER BY canonical_segment_id""")

    def merged(self, since: datetime) -> str:
        """Rows `segment_id, survivor, user_id`: profiles merged away since, with their survivor's user ids in order."""
        return self._sql(f"""
            SELECT m.segment_id, m.canonical_segment_id AS survivor, CAST(i.value AS VARCHAR) AS user_id
            FROM {self._prefix}.profile_merges AS m LEFT JOIN {self._prefix}.user_identifiers AS i
            ON i.canonical_segment_id = m.canonical_segment_id AND i.type = 'user_id'
            WHERE m.segment_id <> m.canonical_segment_id AND {_after("m", since)}
            ORDER BY m.segment_id, i.seq, i.value""")

    def _people(self, selection: Selection, share: tuple[int, int] = (0, 1)) -> str:
        number, parts = share
        sliced = f"AND hash(f.canonical_segment_id) % {parts} = {number}" if parts > 1 else ""
        return f"""
            people AS (
                SELECT DISTINCT f.canonical_segment_id FROM {self._prefix}.user_traits AS f
                WHERE f.name = {literal(selection.key)} AND {self._chosen(selection)} {sliced} AND NOT EXISTS (
                    SELECT 1 FROM {self._prefix}.profile_merges AS m
                    WHERE m.segment_id = f.canonical_segment_id AND m.canonical_segment_id <> m.segment_id))"""

    def _chosen(self, selection: Selection) -> str:
        """Who is read: members, or everybody who has the flag and changed."""
        if selection.since is None:
            return f"lower(CAST(f.value AS VARCHAR)) IN ({literals(TRUE)})"
        after = _after("c", selection.since)
        changed = {
            "user_traits": _among("c.name", selection.all_traits),
            "user_identifiers": _among("c.type", selection.all_types),
            "profile_merges": "1 = 1",
        }
        parts = (
            f"SELECT c.canonical_segment_id FROM {self._prefix}.{table} AS c WHERE {after} AND {which}"
            for table, which in changed.items()
        )
        return f"f.canonical_segment_id IN ({' UNION ALL '.join(parts)})"

    def _facts(self, selection: Selection, share: tuple[int, int] = (0, 1)) -> str:
        return f"""{self._people(selection, share)},
            identifiers AS (
                SELECT i.canonical_segment_id, i.type, CAST(i.value AS VARCHAR) AS value, CAST(i.seq AS BIGINT) AS seq
                FROM {self._prefix}.user_identifiers AS i
                INNER JOIN people AS p ON p.canonical_segment_id = i.canonical_segment_id
                WHERE i.value IS NOT NULL AND {_among("i.type", selection.all_types)}),
            traits AS (
                SELECT t.canonical_segment_id, t.name, CAST(t.value AS VARCHAR) AS value
                FROM {self._prefix}.user_traits AS t
                INNER JOIN people AS p ON p.canonical_segment_id = t.canonical_segment_id
                WHERE {_among("t.name", selection.all_traits)})"""

    def _sql(self, text: str) -> str:
        return sqlglot.transpile(text, read="duckdb", write=self._dialect)[0]


def fold(selection: Selection) -> str:
    """One row a person out of the relations `identifiers` and `traits`.

    `i0, i1, ...` are lists in the order of `seq`, then value; `t0, t1, ...` texts; the numbers are places in the
    selection.
    """
    lists = ", ".join(
        f"array_agg(value ORDER BY seq, value) FILTER (WHERE type = {literal(kind)}) AS i{number}"
        for number, kind in enumerate(selection.all_types)
    )
    texts = ", ".join(
        f"max(value) FILTER (WHERE name = {literal(name)}) AS t{number}"
        for number, name in enumerate(selection.all_traits)
    )
    return f"""
        SELECT * FROM (SELECT canonical_segment_id, {texts} FROM traits GROUP BY canonical_segment_id) AS t
        LEFT JOIN (SELECT canonical_segment_id AS owner, {lists} FROM identifiers GROUP BY canonical_segment_id) AS i
        ON i.owner = t.canonical_segment_id"""


def literal(text: str) -> str:
    """A string in DuckDB's SQL; transpiling escapes it anew for the dialect at hand."""
    return "'" + text.replace("'", "''") + "'"


def literals(texts: Iterable[str]) -> str:
    """Strings for an IN list."""
    return ", ".join(map(literal, texts))


def identifier(name: str) -> str:
    """A quoted name in DuckDB's SQL."""
    return '"' + name.replace('"', '""') + '"'


def _among(column: str, names: Iterable[str] | None) -> str:
    """All names that are not null, or those given; none given means none wanted."""
    if names is None:
        return f"{column} IS NOT NULL"
    listed = literals(names)
    return f"{column} IN ({listed})" if listed else "1 = 0"


def _after(table: str, moment: datetime) -> str:
    # A string, for each engine reads it as the type of its own column: with a zone, without one, or text.
    return f"coalesce({table}.uuid_ts, {table}.received_at) > {literal(moment.isoformat(sep=' '))}"
