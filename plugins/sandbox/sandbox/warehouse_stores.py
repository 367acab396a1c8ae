"""Stores the Profiles Sync tables in a DuckDB file or a PostgreSQL schema."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

import duckdb
import psycopg
import pyarrow as pa
from psycopg import sql
from pyarrow import csv

AUDIENCE_FLAGS = ("everyone", "cart_abandoners_7d", "vip_eu", "winter_sale_2025")
TRAITS = (
    *("email", "phone", "first_name", "last_name", "city", "region", "postal_code", "country", "birthday", "gender"),
    *("consent_advertising", "plan", "lifetime_value"),
)
_STAMPS = "seq bigint, received_at timestamp, uuid_ts timestamp, timestamp timestamp"
_TABLES = {
    "user_traits": f"canonical_segment_id text, name text, value text, {_STAMPS}",
    "user_identifiers": f"canonical_segment_id text, type text, value text, {_STAMPS}",
    "profile_merges": f"canonical_segment_id text, segment_id text, {_STAMPS}",
    "id_graph_updates": "segment_id text, canonical_segment_id text, triggering_event_type text, "
    "triggering_event_id text, timestamp timestamp",
    "external_id_mapping_updates": "segment_id text, external_id_type text, external_id_value text, "
    "external_id_hash text, seq bigint, timestamp timestamp, __operation text",
    "profile_traits_updates": "segment_id text, "
    + "".join(f"{name} text, " for name in (*TRAITS, *AUDIENCE_FLAGS))
    + "seq bigint, received_at timestamp, uuid_ts timestamp",
}
_DELETE = {
    "user_traits": "DELETE FROM user_traits AS held USING removed WHERE held.name = removed.name "
    "AND held.canonical_segment_id = removed.canonical_segment_id AND held.value = removed.value",
    "user_identifiers": "DELETE FROM user_identifiers AS held USING removed WHERE held.type = removed.type "
    "AND held.canonical_segment_id = removed.canonical_segment_id AND held.value = removed.value",
    "profile_merges": "DELETE FROM profile_merges AS held USING removed WHERE held.segment_id = removed.segment_id "
    "AND held.canonical_segment_id = removed.canonical_segment_id",
}
_LAST_TICK = "SELECT max(uuid_ts) FROM user_traits"


class Store(Protocol):
    """The warehouse inside one open transaction; rows are Arrow tables whose columns are named like the table's."""

    def create(self) -> None:
        """Make the schema and empty tables, in place of those that were there."""

    def insert(self, table: str, rows: pa.Table) -> None:
        """Append rows."""

    def delete(self, table: str, rows: pa.Table) -> None:
        """Remove the rows of a materialised table that equal these in every given column."""

    def last_tick(self) -> datetime | None:
        """The newest `uuid_ts`, or None when nothing was synced."""


@contextmanager
def open_store(url: str, schema: str) -> Iterator[Store]:
    """The warehouse at `duckdb:///FILE` (absolute: four slashes) or `postgresql://...`.

    It is committed at the end of the block or not at all.
    Raises ValueError for another kind of URL or a schema name that is not a plain identifier.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", schema):
        raise ValueError("the warehouse schema must be lower-case letters, digits and underscores")
    kind, _, place = url.partition("://")
    if kind == "duckdb":
        with duckdb.connect(place.removeprefix("/")) as database:
            database.begin()
            yield _DuckDB(database, schema)
            database.commit()
    elif kind in {"postgresql", "postgres"}:
        with psycopg.connect(url) as connection:
            yield _PostgreSQL(connection, schema)
    else:
        raise ValueError("the warehouse URL must begin with duckdb:/// or postgresql://")


class _DuckDB:
    def __init__(self, database: duckdb.DuckDBPyConnection, schema: str):
        self._database = database
        self._schema = schema

    def create(self) -> None:
        self._database.execute(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")
        for table, columns in _TABLES.items():
            self._database.execute(f"CREATE OR REPLACE TABLE {self._schema}.{table} ({columns})")

    def insert(self, table: str, rows: pa.Table) -> None:
        self._database.from_arrow(rows).insert_into(f"{self._schema}.{table}")

    def delete(self, table: str, rows: pa.Table) -> None:
        self._database.execute(f"USE {self._schema}")
        self._database.register("removed", rows)
        self._database.execute(_DELETE[table])

    def last_tick(self) -> datetime | None:
        self._database.execute(f"USE {self._schema}")
        row = self._database.execute(_LAST_TICK).fetchone()
        return row[0] if row else None


class _PostgreSQL:
    def __init__(self, connection: psycopg.Connection, schema: str):
        self._connection = connection
        self._schema = sql.Identifier(schema)
        connection.execute(sql.SQL("SET search_path TO {}, pg_temp").format(self._schema))

    def create(self) -> None:
        self._connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(self._schema))
        for table, columns in _TABLES.items():
            self._connection.execute(f"DROP TABLE IF EXISTS {table}".encode())
            self._connection.execute(f"CREATE TABLE {table} ({columns})".encode())

    def insert(self, table: str, rows: pa.Table) -> None:
        names = sql.SQL(", ").join(map(sql.Identifier, rows.column_names))
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(sql.Identifier(table), names)
        text = io.BytesIO()
        csv.write_csv(rows, text, csv.WriteOptions(include_header=False))
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(text.getvalue())

    def delete(self, table: str, rows: pa.Table) -> None:
        columns = ", ".join(f"{name} text" for name in rows.column_names)
        self._connection.execute(f"CREATE TEMP TABLE removed ({columns})".encode())
        self.insert("removed", rows)
        self._connection.execute(_DELETE[table].encode())
        self._connection.execute("DROP TABLE removed")

    def last_tick(self) -> datetime | None:
        row = self._connection.execute(_LAST_TICK).fetchone()
        return row[0] if row else None
