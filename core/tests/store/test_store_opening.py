"""Opening a store: a new one, by several processes at once, and errors that say what to do."""

import os
import socket
import sqlite3
import stat
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from cdp_bridge.errors import ConfigError, TransientError
from cdp_bridge.store import Store, migration, tables

from .conftest import People, Start

OPEN = """
import sys
from cdp_bridge.store import Store
print("ready", flush=True)
sys.stdin.readline()
with Store.open(sys.argv[1]) as store:
    print(store.key("members").hex(), store.ledger.count("vip"))
"""


def test_the_migrations_make_exactly_the_tables(store: Store) -> None:
    with store._database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": migration.VERSION_TABLE})
        assert compare_metadata(context, tables.metadata) == []
    assert store.integrity() == []


def test_head_names_the_newest_migration() -> None:
    scripts = ScriptDirectory(str(Path(migration.__file__).with_name("migrations")))
    assert scripts.get_heads() == [migration.HEAD]


def test_several_processes_may_open_a_new_store_at_once(store_url: str, start: Start) -> None:
    rivals = [start(OPEN, store_url) for _ in range(3)]
    assert [rival.stdout.readline() for rival in rivals] == ["ready\n"] * 3
    for rival in rivals:
        rival.stdin.write("\n")
        rival.stdin.flush()
    answers = {rival.communicate()[0] for rival in rivals}
    assert len(answers) == 1
    assert answers.pop().endswith(" 0\n")
    assert [rival.returncode for rival in rivals] == [0] * 3


def test_sqlite_is_durable_checked_and_private(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store, store._database.reading() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
        assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}
        assert {stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in os.listdir(tmp_path)} == {0o600}


@pytest.mark.postgres
def test_postgresql_is_durable_whatever_the_role_says(postgres_url: str) -> None:
    with Store.open(f"{postgres_url}&options=-c%20synchronous_commit%3Doff") as store:
        for use in (store._database.reading, store._database.writing):
            with use() as connection:
                assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "cannot be read"),
        ("store.db", "cannot be read"),
        ("sqlite://", "is not a store"),
        ("sqlite:///:memory:", "is not a store"),
        ("mysql://root:hush-hush@localhost/x", "is not a store"),
        ("postgresql://user:hush-hush@localhost:port/x", "cannot be read"),
        ("sqlite:////no/such/folder/store.db", "No such file or directory"),
        ("sqlite:////tmp", "the file cannot be opened"),
    ],
)
def test_an_address_that_is_none_is_explained(url: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        Store.open(url)
    assert caught.value.remedy
    assert "hush-hush" not in str(caught.value)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("these are my notes, and not a database\n" * 100)
    with pytest.raises(ConfigError, match="not a SQLite database"):
        Store.open(f"sqlite:///{notes}")
    assert notes.read_text() == "these are my notes, and not a database\n" * 100


def test_the_database_of_something_else_is_left_alone(store_url: str) -> None:
    engine = sa.create_engine(store_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE bookmark (url TEXT)")
    with pytest.raises(ConfigError, match="tables of something else") as caught:
        Store.open(store_url)
    assert caught.value.remedy
    assert sa.inspect(engine).get_table_names() == ["bookmark"]
    engine.dispose()


def test_a_store_of_a_newer_version_is_left_alone(store: Store, store_url: str) -> None:
    with store._database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE {migration.VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(ConfigError, match="newer version") as caught:
        Store.open(store_url)
    assert "Upgrade cdp-bridge" in caught.value.remedy
    with store._database.reading() as connection:
        assert migration._version(connection) == "9999"


def test_a_missing_table_is_noticed(store: Store, store_url: str) -> None:
    with store._database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE dead_letter")
    assert store.integrity() == ["table dead_letter is missing"]
    with pytest.raises(ConfigError, match="damaged: table dead_letter missing"):
        Store.open(store_url)


def test_damaged_pages_are_noticed(tmp_path: Path, people: People, at: datetime) -> None:
    url, path = f"sqlite:///{tmp_path}/store.db", tmp_path / "store.db"
    with Store.open(url) as store, store.transaction() as change:
        change.put_members("vip", people(5_000), "accepted", at)
    damaged = bytearray(path.read_bytes())
    page = len(damaged) // 16_384 * 3 // 4 * 16_384
    damaged[page : page + 4_000] = b"\xa5" * 4_000
    path.write_bytes(damaged)
    with Store.open(url) as store:
        assert store.integrity()
        with pytest.raises(ConfigError, match="the database is damaged"):
            list(store.ledger.members("vip"))


def test_a_read_only_file_is_explained(small_disk: Path) -> None:
    Store.open(f"sqlite:///{small_disk}/store.db").close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(ConfigError, match="read-only"):
        Store.open(f"sqlite:///{small_disk}/store.db")


@pytest.mark.postgres
def test_a_read_only_postgresql_is_explained(postgres_url: str) -> None:
    with pytest.raises(ConfigError, match="read-only"):
        Store.open(f"{postgres_url}&options=-c%20default_transaction_read_only%3Don")


@pytest.mark.postgres
def test_a_missing_database_or_role_is_explained(postgres_url: str) -> None:
    host = postgres_url.partition("host=")[2]
    with pytest.raises(ConfigError, match="no database of that name") as caught:
        Store.open(f"postgresql://postgres:hush-hush@/nowhere?host={host}")
    assert caught.value.place == f"postgresql://{host}/nowhere"
    with pytest.raises(ConfigError, match="refuses the credentials") as caught:
        Store.open(f"postgresql://nobody:hush-hush@/nowhere?host={host}")
    assert "nobody" not in str(caught.value)


@pytest.mark.postgres
def test_a_wrong_password_is_explained_and_not_told(postgres_server: str, postgres_url: str) -> None:
    host = postgres_url.partition("host=")[2]
    with psycopg.connect(f"{postgres_server} dbname=postgres", autocommit=True) as server:
        server.execute("DROP ROLE IF EXISTS guest")
        server.execute("CREATE ROLE guest LOGIN PASSWORD 'right'")
        rules = Path(*server.execute("SHOW hba_file").fetchone() or ())
        before = rules.read_text()
        rules.write_text(f"local all guest scram-sha-256\n{before}")
        server.execute("SELECT pg_reload_conf()")
        try:
            with pytest.raises(ConfigError, match="refuses the credentials") as caught:
                Store.open(f"postgresql://guest:hush-hush@/postgres?host={host}")
            assert "hush-hush" not in str(caught.value)
            assert "guest" not in str(caught.value)
            with pytest.raises(ConfigError, match="refuses the credentials"):
                Store.open(f"postgresql://guest:right@/postgres?host={host}")
        finally:
            rules.write_text(before)
            server.execute("SELECT pg_reload_conf()")


def test_a_server_that_is_not_there_is_explained() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(ConfigError, match="cannot be reached") as caught:
            Store.open(f"postgresql://guest:hush-hush@127.0.0.1:{port}/store")
    assert caught.value.place == f"postgresql://127.0.0.1:{port}/store"


@pytest.mark.postgres
def test_a_lost_connection_is_transient(postgres_server: str, postgres_url: str, people: People, at: datetime) -> None:
    def lose(change: Any, server: Any) -> None:
        change.put_members("vip", people(3), "accepted", at)
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        change.put_members("vip", people(6), "accepted", at)

    name = postgres_url.rpartition("?")[0].rpartition("/")[2]
    with (
        psycopg.connect(f"{postgres_server} dbname=postgres", autocommit=True) as server,
        Store.open(postgres_url) as store,
    ):
        with pytest.raises(TransientError), store.transaction() as change:
            lose(change, server)
        assert store.ledger.count("vip") == 0


def test_a_store_locked_for_too_long_is_transient(tmp_path: Path, people: People, at: datetime) -> None:
    path = tmp_path / "store.db"
    with Store.open(f"sqlite:///{path}") as store:
        impatient = "PRAGMA busy_timeout = 50"
        sa.event.listen(store._database.engine, "checkout", lambda connection, *_: connection.execute(impatient))
        rival = sqlite3.connect(path, isolation_level=None)
        rival.execute("BEGIN IMMEDIATE")
        with pytest.raises(TransientError, match="another process holds"), store.transaction() as change:
            change.put_members("vip", people(1), "accepted", at)
        rival.execute("ROLLBACK")
        rival.close()
        assert store.ledger.count("vip") == 0


@pytest.mark.postgres
@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP"])
def test_a_database_that_cannot_hold_all_names_is_refused(postgres_server: str, encoding: str) -> None:
    name = f"encoded_{encoding.lower()}"
    with psycopg.connect(f"{postgres_server} dbname=postgres", autocommit=True) as server:
        locale = "LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        server.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' {locale}")
        url = f"postgresql://postgres@/{name}?host={server.info.host}"
        with pytest.raises(ConfigError, match=f"{name}: the database stores text in {encoding}.*ENCODING 'UTF8'"):
            Store.open(url)
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.postgres
def test_names_come_back_whatever_encoding_the_client_asks_for(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with Store.open(f"{postgres_url}&client_encoding=latin1") as store:
        assert store.api_keys.create("Łódź \U0001f600", "viewer")[0].name == "Łódź \U0001f600"
        assert [key.name for key in store.api_keys.all()] == ["Łódź \U0001f600"]
