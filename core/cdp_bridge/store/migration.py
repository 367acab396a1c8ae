"""Creates or migrates the tables when a database is opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from cdp_bridge.errors import ConfigError
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database
from cdp_bridge.store.failures import READ_ONLY, known

HEAD = "0019"
"""The newest migration in `migrations/versions`; a test keeps it true."""
VERSION_TABLE = "cdp_bridge_version"
_LOCK = 0x6364705F627269  # "cdp_bri": the advisory lock of processes that migrate a PostgreSQL store.


def upgrade(database: Database) -> None:
    """Create or migrate the tables as needed.

    Raises ConfigError for a database that is not ours, damaged, newer than this version, read-only, or not in UTF-8.
    """
    with database.reading() as connection:
        _refuse_other_encoding(connection, database.place)
        version = _version(connection)
        _refuse_read_only(connection, database.place)
    if version != HEAD:
        with database.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            _migrate(connection, database.place)
    with database.reading() as connection:
        missing = _missing(connection)
    if missing:
        raise ConfigError(
            f"the database is damaged: {', '.join(missing)} missing", place=database.place, remedy="Restore a backup"
        )


def integrity(database: Database) -> list[str]:
    """Faults of the tables, and on SQLite of every page and reference of the file."""
    faults: list[str] = []
    try:
        with database.reading() as connection:
            faults += [f"{name} is missing" for name in _missing(connection)]
            if connection.dialect.name == "sqlite":
                faults += _damage(connection)
    except ConfigError as error:
        # The damage may make the check itself fail.
        faults.append(error.problem)
    return faults


def _damage(connection: sa.Connection) -> Iterator[str]:
    yield from (fault for fault in connection.exec_driver_sql("PRAGMA integrity_check").scalars() if fault != "ok")
    for row in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield f"a row of {row[0]} refers to a missing row of {row[2]}"


def _refuse_other_encoding(connection: sa.Connection, place: str) -> None:
    """ConfigError for a PostgreSQL database that cannot hold all names; SQLite stores all of Unicode in any case."""
    if connection.dialect.name != "postgresql":
        return
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise ConfigError(
            f"the database stores text in {encoding}, which cannot hold every name",
            place=place,
            remedy="Make one in UTF-8: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
        )


def _version(connection: sa.Connection) -> str | None:
    """The version that the database is at, None when it has none yet."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE))).scalar()


def _migrate(connection: sa.Connection, place: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    if _version(connection) is None and sa.inspect(connection).get_table_names():
        raise ConfigError(
            "the database holds tables of something else",
            place=place,
            remedy="Name an empty database, or a file that does not exist",
        )
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    try:
        command.upgrade(config, "head")
    except CommandError:
        raise ConfigError(
            "the database was written by a newer version", place=place, remedy="Upgrade cdp-bridge; nothing was changed"
        ) from None


def _missing(connection: sa.Connection) -> list[str]:
    """The tables that should be there and are not."""
    inspector = sa.inspect(connection)
    existing = set(inspector.get_table_names())
    return [f"table {name}" for name in tables.metadata.tables if name not in existing]


def _refuse_read_only(connection: sa.Connection, place: str) -> None:
    if (
        connection.dialect.name == "postgresql"
        and connection.execute(sa.text("SHOW transaction_read_only")).scalar() == "on"
    ):
        raise known(READ_ONLY, place)
