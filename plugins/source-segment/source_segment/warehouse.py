"""Opens the customer's warehouse by URL: a DuckDB file, PostgreSQL through ADBC, others through SQLAlchemy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from cdp_bridge.sdk import ConfigError, Secret, TransientError

from source_segment.query import TABLES, Queries

ROWS = 20_000
CONNECT_SECONDS = 15
PLACE = "warehouse.url"

# sqlglot's names for the dialects that SQLAlchemy calls otherwise.
_DIALECTS = {"postgresql": "postgres", "mssql": "tsql", "mariadb": "mysql", "awsathena": "athena"}


class Warehouse:
    """An open warehouse with one schema; `sql` holds its statements.

    `stream` runs one and yields record batches as they come; `failures` is what the driver raises.
    """

    def __init__(
        self, schema: str, dialect: str, stream: Callable[[str], Iterable[pa.RecordBatch]], failures: type[Exception]
    ) -> None:
        self.schema, self.dialect = schema, dialect
        self.sql = Queries(schema, dialect)
        self._stream = stream
        self._failures = (failures, pa.ArrowException, OSError)

    def batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        """The result of a statement; TransientError if the warehouse gives up on it."""
        try:
            yield from self._stream(sql)
        except self._failures as error:
            raise TransientError(f"the warehouse broke off a query: {_first_line(error)}") from None

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """A small result."""
        return [row for batch in self.batches(sql) for row in batch.to_pylist()]

    def check_tables(self) -> None:
        """Raise ConfigError naming the first table that is missing, forbidden, or without the columns needed."""
        for table in TABLES:
            try:
                for _ in self._stream(self.sql.probe(table)):
                    pass
            except self._failures as error:
                raise ConfigError(
                    f"cannot be read: {_first_line(error)}",
                    place=f"warehouse table {self.schema}.{table}",
                    remedy="Select this table in Profiles Sync, grant SELECT on it, and check warehouse.schema "
                    f"(needed columns: {TABLES[table]})",
                ) from None


@contextmanager
def opened(url: Secret, schema: str) -> Iterator[Warehouse]:
    """Connect by URL; ConfigError if there is no driver, no such place, or no entrance with these credentials."""
    text = url.reveal()
    scheme, _, _ = text.partition("://")
    _learn_password(text)
    route = {"duckdb": _duckdb, "postgresql": _postgresql, "postgres": _postgresql}.get(scheme, _sqlalchemy)
    with route(text, schema) as warehouse:
        yield warehouse


@contextmanager
def _duckdb(url: str, schema: str) -> Iterator[Warehouse]:
    import duckdb

    path = _existing_file(url.partition("://")[2].removeprefix("/"))
    # A warehouse file is data: nothing in it may make this process read other files or fetch extensions.
    with _connecting(duckdb.Error):
        database = duckdb.connect(path, read_only=True, config={"enable_external_access": "false"})
    with database:
        yield Warehouse(schema, "duckdb", lambda sql: database.sql(sql).to_arrow_reader(ROWS), duckdb.Error)


@contextmanager
def _postgresql(url: str, schema: str) -> Iterator[Warehouse]:
    import adbc_driver_manager
    from adbc_driver_postgresql import dbapi

    patient = url if "connect_timeout" in url else f"{url}{'&' if '?' in url else '?'}connect_timeout={CONNECT_SECONDS}"
    with _connecting(adbc_driver_manager.Error):
        connection = dbapi.connect(patient, autocommit=True)

    def stream(sql: str) -> Iterator[pa.RecordBatch]:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            yield from cursor.fetch_record_batch()

    with closing(connection):
        yield Warehouse(schema, "postgres", stream, adbc_driver_manager.Error)


@contextmanager
def _sqlalchemy(url: str, schema: str) -> Iterator[Warehouse]:
    import sqlalchemy

    with _connecting(sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError, ImportError):
        engine = sqlalchemy.create_engine(url)
    if engine.dialect.name == "sqlite":
        _existing_file(engine.url.database or "")
    with _connecting(sqlalchemy.exc.SQLAlchemyError):
        connection = engine.connect()

    def stream(sql: str) -> Iterator[pa.RecordBatch]:
        # no_parameters: a % in a trait's name is no placeholder.
        result = connection.execution_options(stream_results=True, no_parameters=True).exec_driver_sql(sql)
        with closing(result):
            for rows in result.yield_per(ROWS).partitions():
                columns = zip(*rows, strict=True)
                yield pa.record_batch([pa.array(column) for column in columns], names=list(result.keys()))

    dialect = _DIALECTS.get(engine.dialect.name, engine.dialect.name)
    try:
        with connection:
            yield Warehouse(schema, dialect, stream, sqlalchemy.exc.SQLAlchemyError)
    finally:
        engine.dispose()


@contextmanager
def _connecting(*failures: type[Exception]) -> Iterator[None]:
    try:
        yield
    except failures as error:
        raise ConfigError(
            f"cannot connect: {_first_line(error)}",
            place=PLACE,
            remedy="Check host, port, database, user, password, network access, and that its driver is installed",
        ) from None


def _existing_file(path: str) -> str:
    if not Path(path).is_absolute() or not Path(path).is_file():
        raise ConfigError(
            "there is no such file, or its path is relative",
            place=PLACE,
            remedy="An absolute path has four slashes: duckdb:////folder/file",
        )
    return path


def _learn_password(url: str) -> None:
    """Keep the password out of whatever the driver says; ConfigError for what is no URL, which a driver would quote."""
    try:
        password = urlsplit(url).password or ""
    except ValueError:
        raise ConfigError("is not a URL", place=PLACE, remedy="Encode [ ] @ : / in user and password as %XX") from None
    Secret(password)
    Secret(unquote(password))


def _first_line(error: Exception) -> str:
    """What the driver said; never its later lines, which may quote data."""
    return str(error).strip().partition("\n")[0].rstrip(".!") or type(error).__name__
