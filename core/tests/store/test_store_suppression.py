"""Suppression lists are replaced whole, list by list."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from cdp_bridge.entities import Bridge
from cdp_bridge.store import Store, migration
from cdp_bridge.store.database import Database
from cdp_bridge.testing.configuring import configure


def suppressed(store: Store) -> list[tuple[str, bytes]]:
    return sorted(entry for chunk in store.suppressed() for entry in chunk)


def digest(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_a_list_is_replaced_and_others_stay(store: Store) -> None:
    store.suppress([("email", digest(1)), ("email", digest(1)), ("phone", digest(2))], "optout.csv")
    store.suppress([("email", digest(1)), ("email", digest(3))], "legal.csv")
    assert suppressed(store) == [("email", digest(1)), ("email", digest(3)), ("phone", digest(2))]
    store.suppress(iter([("phone", digest(4))]), "optout.csv")
    assert suppressed(store) == [("email", digest(1)), ("email", digest(3)), ("phone", digest(4))]
    store.suppress([], "legal.csv")
    assert suppressed(store) == [("phone", digest(4))]


def test_a_list_that_breaks_off_changes_nothing(store: Store) -> None:
    store.suppress([("email", digest(1))], "optout.csv")

    def torn() -> Iterator[tuple[str, bytes]]:
        yield from (("email", digest(number)) for number in range(2, 9_000))
        raise InterruptedError

    with pytest.raises(InterruptedError):
        store.suppress(torn(), "optout.csv")
    assert suppressed(store) == [("email", digest(1))]


def test_many_entries_come_in_chunks(store: Store) -> None:
    store.suppress((("email", digest(number)) for number in range(60_000)), "optout.csv")
    chunks = list(store.suppressed())
    assert len(chunks) > 1
    assert sum(map(len, chunks)) == 60_000


def test_a_list_that_is_not_configured_any_more_is_deleted(store: Store) -> None:
    configure(store, Bridge(suppressions=("optout.csv", "legal.csv")))
    store.suppress([("email", digest(1))], "optout.csv")
    store.suppress([("email", digest(2))], "legal.csv")
    store.suppress([("email", digest(3))], "by hand")
    configure(store, Bridge(suppressions=("legal.csv",)))
    assert suppressed(store) == [("email", digest(2)), ("email", digest(3))]


def test_digests_from_when_each_profile_had_its_own_suppress_everywhere(store_url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migration.__file__).with_name("migrations")))
    database = Database(store_url, time.time)
    rows = [{"profile": name, "digest": digest(number)} for name, number in (("a", 1), ("b", 1), ("b", 2))]
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0010")
        connection.execute(sa.text("INSERT INTO suppression VALUES (:profile, 'api', 'email', :digest)"), rows)
    database.close()
    with Store.open(store_url) as opened:
        assert suppressed(opened) == [("email", digest(1)), ("email", digest(2))]
