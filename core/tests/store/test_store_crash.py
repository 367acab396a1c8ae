"""After a kill or on a full disk, transactions are there as a whole or not at all."""

import os
import random
import shutil
import signal
import sqlite3
import time
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from cdp_bridge.errors import ConfigError, TransientError
from cdp_bridge.store import Store
from cdp_bridge.store.failures import meaning, plainly

from .conftest import People, Start

# Every transaction leaves the ledger, the delivery, the run and the cursor at the same number, then says so.
WORKER = """
import sys
from datetime import UTC, datetime
from cdp_bridge.entities import SyncLog
from cdp_bridge.store import Delivery, Store
at = datetime(2026, 3, 1, tzinfo=UTC)
with Store.open(sys.argv[1]) as store:
    number = (store.cursor("vip", "members", None) or {"number": 0})["number"]
    while True:
        number += 1
        mark = number.to_bytes(16, "big")
        members = [(key.to_bytes(16, "big"), mark, str(key), b"x" * 300) for key in range(2_000)]
        with store.transaction() as change:
            for delivery in store.deliveries("vip"):
                change.close_delivery(delivery.id)
            change.open_delivery(
                Delivery(id=str(number), audience="vip", operation="add", run_id="r", members=members, created_at=at)
            )
            change.put_members("vip", members, "accepted", at)
            change.save_run(SyncLog(run_id="r", audience="vip", sync_timestamp=at, adds=number))
            change.save_cursor("vip", "members", None, {"number": number})
        print(number, flush=True)
"""


def recorded(store: Store) -> set[int]:
    """The numbers that the parts of the store are at."""
    marks = {int.from_bytes(mark) for chunk in store.ledger.fingerprints("vip") for _, mark in chunk}
    run, cursor = store.run("r"), store.cursor("vip", "members", None)
    assert run is not None
    assert cursor is not None
    return {*marks, run.adds, cursor["number"], *(int(delivery.id) for delivery in store.deliveries("vip"))}


def wait_until_alone(store: Store) -> None:
    """PostgreSQL may still finish what the killed client had asked for."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with store._database.reading() as connection:
        while connection.dialect.name == "postgresql" and connection.exec_driver_sql(others).scalar():
            connection.rollback()
            time.sleep(0.01)


def test_killed_at_random_moments_nothing_is_lost_or_half_applied(store_url: str, start: Start) -> None:
    dice = random.Random(11)
    printed = 0
    for _ in range(5):
        worker = start(WORKER, store_url)
        first = worker.stdout.readline()
        assert int(first) > printed
        time.sleep(dice.random() * 0.2)
        os.kill(worker.pid, signal.SIGKILL)
        printed = max(map(int, (first + worker.communicate()[0]).split()))
        with Store.open(store_url) as store:
            wait_until_alone(store)
            (number,) = recorded(store)
            assert printed <= number <= printed + 1
            assert store.ledger.count("vip") == 2_000
            assert store.integrity() == []


def fill(store: Store, people: People, at: datetime) -> int:
    """Put batches of 100 until the disk is full; how many members were acknowledged."""
    for count in range(0, 200_000, 100):
        try:
            with store.transaction() as change:
                change.put_members("vip", people(count + 100, start=count), "accepted", at)
                change.save_cursor("vip", "members", None, {"count": count + 100})
        except ConfigError as full:
            if full.problem != "the disk is full":
                raise
            return count
    pytest.fail("the disk never filled up")


def test_a_full_disk_is_an_error_with_nothing_half_applied(small_disk: Path, people: People, at: datetime) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 500_000)
    with Store.open(f"sqlite:///{small_disk}/store.db") as store:
        count = fill(store, people, at)
        assert count > 0
        assert store.ledger.count("vip") == count
        assert store.cursor("vip", "members", None) == {"count": count}
        assert store.integrity() == []
        ballast.unlink()
        with store.transaction() as change:
            change.put_members("vip", people(count + 100, start=count), "accepted", at)
        assert store.ledger.count("vip") == count + 100


def test_a_store_cannot_be_made_on_a_full_disk(small_disk: Path) -> None:
    free = shutil.disk_usage(small_disk).free
    (small_disk / "ballast").write_bytes(b"x" * free)
    with pytest.raises(ConfigError, match=r"the disk is full|the disk fails|No space left"):
        Store.open(f"sqlite:///{small_disk}/store.db")


@pytest.mark.postgres
def test_a_full_disk_of_postgresql_is_an_error_too(
    postgres_server: str, postgres_url: str, small_disk: Path, people: People, at: datetime
) -> None:
    name = postgres_url.rpartition("?")[0].rpartition("/")[2]
    with psycopg.connect(f"{postgres_server} dbname=postgres", autocommit=True) as server:
        owner = Path(*server.execute("SHOW data_directory").fetchone() or ()).stat().st_uid
        os.chown(small_disk, owner, -1)
        server.execute(f"CREATE TABLESPACE small LOCATION '{small_disk}'")
        try:
            with Store.open(postgres_url) as store:
                with store._database.writing() as connection:
                    connection.exec_driver_sql("ALTER TABLE member SET TABLESPACE small")
                count = fill(store, people, at)
                assert store.ledger.count("vip") == count > 0
                assert store.cursor("vip", "members", None) == {"count": count}
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")
            server.execute("DROP TABLESPACE small")
            server.execute(f"CREATE DATABASE {name}")


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("text of the driver, with anna@example.com")
    error.sqlite_errorcode = code
    return error


def refused(words: str) -> Exception:
    return sa.exc.OperationalError(None, None, psycopg.OperationalError(f"connection failed: {words}"))


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (sqlite_error(sqlite3.SQLITE_IOERR_FSYNC), ConfigError, "the disk fails"),
        (sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT), TransientError, "another process"),
        (sqlite_error(sqlite3.SQLITE_READONLY_DBMOVED), ConfigError, "read-only"),
        (sqlite_error(sqlite3.SQLITE_CORRUPT), ConfigError, "damaged"),
        (psycopg.errors.IoError(), ConfigError, "the disk fails"),
        (psycopg.errors.DeadlockDetected(), TransientError, "40P01"),
        (psycopg.errors.TooManyConnections(), TransientError, "53300"),
        (psycopg.errors.DataCorrupted(), ConfigError, "damaged"),
        (psycopg.errors.InsufficientPrivilege(), ConfigError, "credentials"),
        (psycopg.OperationalError("lost during COPY"), TransientError, "was lost"),
        (refused("FATAL: the database system is starting up"), TransientError, "starting"),
        (refused("FATAL: sorry, too many clients already"), TransientError, "no more connections"),
        (refused('FATAL: database "x" does not exist'), ConfigError, "no database of that name"),
    ],
)
def test_each_failure_becomes_an_error_of_the_bridge(error: Exception, kind: type[Exception], words: str) -> None:
    meant = meaning(error, "sqlite:///x")
    assert isinstance(meant, kind)
    assert words in str(meant)
    assert "anna" not in str(meant)


def test_a_bug_of_ours_is_no_failure_of_the_database() -> None:
    assert meaning(sqlite_error(sqlite3.SQLITE_CONSTRAINT_UNIQUE), "sqlite:///x") is None
    assert meaning(psycopg.errors.SyntaxError(), "postgresql://x") is None
    assert meaning(psycopg.DataError("client side"), "postgresql://x") is None
    assert meaning(ValueError("not the database's"), "postgresql://x") is None


def test_a_server_that_was_there_is_a_transient_error() -> None:
    gone = psycopg.OperationalError("connection refused")
    with pytest.raises(ConfigError, match="cannot be reached"), plainly("postgresql://x"):
        raise sa.exc.OperationalError("", None, gone)
    with pytest.raises(TransientError, match="cannot be reached any more"), plainly("postgresql://x", was_there=True):
        raise sa.exc.OperationalError("", None, gone)
