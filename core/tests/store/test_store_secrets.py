"""Secrets at rest: encrypted, bound to their place, under a keyring that is private, and rotated without a loss."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cdp_bridge import settings
from cdp_bridge.errors import ConfigError
from cdp_bridge.secrets import Resolver, Secret
from cdp_bridge.settings import SettingsError
from cdp_bridge.store import Store, tables
from cdp_bridge.store.secrets import cipher
from cdp_bridge.store.secrets.keyring import VARIABLE, Keyring
from msgspec import Struct

from .conftest import Clock, Start

CANARY = "canary-secret-0123456789"


@pytest.fixture(autouse=True)
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "keyring"
    monkeypatch.setenv(VARIABLE, str(path))
    return path


@pytest.fixture
def store(store_url: str, clock: Clock) -> Iterator[Store]:
    with Store.open(store_url, clock=clock) as opened:
        yield opened


def envelopes(store: Store) -> dict[str, bytes]:
    with store._database.reading() as connection:
        return {row.name: row.envelope for row in connection.execute(sa.select(tables.secret).order_by("name"))}


def value(store: Store, name: str) -> str | None:
    secret = store.secrets.get(name)
    return None if secret is None else secret.reveal()


def test_a_secret_comes_back_by_its_reference(store: Store) -> None:
    class Settings(Struct):
        token: Secret

    reference = store.secrets.put("connection.segment.token", Secret(CANARY))
    assert reference == "store:connection.segment.token"
    assert settings.load(Settings, {"token": reference}, Resolver(stored=store.secrets.secret)).token.reveal() == CANARY
    store.secrets.put("connection.segment.token", Secret("another"))
    assert value(store, "connection.segment.token") == "another"
    store.secrets.drop("connection.segment.token")
    assert value(store, "connection.segment.token") is None


@pytest.mark.parametrize("name", ["gone", "oauth:meta", "state:x", "../../etc/passwd", "GONE"])
def test_a_reference_to_nothing_is_a_fault_with_its_place(store: Store, name: str) -> None:
    class Settings(Struct):
        token: Secret

    store.secrets.put("oauth:meta", Secret(CANARY))
    with pytest.raises(SettingsError, match=r"^token: the store keeps no secret"):
        settings.load(Settings, {"token": f"store:{name}"}, Resolver(stored=store.secrets.secret))


def test_no_file_of_the_store_holds_a_secret(tmp_path: Path, keyring: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        store.secrets.put("token", Secret(CANARY))
        written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert b"token" in written
        assert CANARY.encode() not in written


def test_the_same_secret_is_never_sealed_the_same(keyring: Path) -> None:
    ring = Keyring(keyring)
    ring.add()
    place = ("secret", "a", "envelope")
    sealed = {cipher.seal(CANARY.encode(), place, ring.keys())[cipher.HEADER_BYTES :][:12] for _ in range(2_000)}
    assert len(sealed) == 2_000


def test_envelopes_cannot_be_swapped_or_altered(store: Store) -> None:
    store.secrets.put("a", Secret("of a"))
    store.secrets.put("b", Secret("of b"))
    before = envelopes(store)
    altered = [before["b"], before["a"][:-1] + bytes([before["a"][-1] ^ 1]), before["a"][:20], before["a"][:15]]
    for envelope in altered:
        with store._database.writing() as connection:
            connection.execute(sa.update(tables.secret).where(tables.secret.c.name == "a").values(envelope=envelope))
        with pytest.raises(ConfigError, match="secret a: it was altered") as caught:
            store.secrets.get("a")
        assert "of " not in caught.value.problem


def test_a_secret_expires_and_is_popped_once(store: Store, clock: Clock) -> None:
    store.secrets.put("state:1", Secret("one"), lasts=timedelta(minutes=10))
    store.secrets.put("state:2", Secret("two"), lasts=timedelta(minutes=10))
    secret = store.secrets.pop("state:1")
    assert secret is not None
    assert (secret.reveal(), store.secrets.pop("state:1")) == ("one", None)
    clock.now += 600
    assert store.secrets.pop("state:2") is None
    assert value(store, "state:2") is None


def test_the_keyring_is_private_and_stays_so(store: Store, keyring: Path) -> None:
    store.secrets.put("a", Secret(CANARY))
    assert keyring.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in keyring.parent.iterdir() if "keyring" in path.name] == ["keyring"]
    keyring.chmod(0o640)
    with pytest.raises(ConfigError, match="open to other users") as caught:
        store.secrets.get("a")
    assert caught.value.remedy == f"Run: chmod 600 {keyring}"


def test_beside_a_sqlite_file_the_keyring_is_made_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        store.secrets.put("a", Secret(CANARY))
        assert len((tmp_path / "store.db.keyring").read_text().splitlines()) == 1


@pytest.mark.postgres
def test_with_postgresql_somebody_must_say_where_the_keyring_is(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    with Store.open(postgres_url) as store, pytest.raises(ConfigError, match="where the keyring is") as caught:
        store.secrets.put("a", Secret(CANARY))
    assert caught.value.place == VARIABLE


def test_a_lost_keyring_is_not_replaced_by_a_new_one(store: Store, keyring: Path) -> None:
    store.secrets.put("a", Secret(CANARY))
    backup = keyring.read_bytes()
    keyring.unlink()
    for call in (lambda: store.secrets.put("b", Secret("b")), lambda: list(store.secrets.rotate())):
        with pytest.raises(ConfigError, match="the keyring is missing"):
            call()
    with pytest.raises(ConfigError, match="the keyring does not hold"):
        store.secrets.get("a")
    keyring.write_bytes(backup)
    keyring.chmod(0o600)
    assert value(store, "a") == CANARY


@pytest.mark.parametrize("text", ["no key", "00112233445566zz AAAA", "0011223344556677 " + "A" * 10, "é"])
def test_a_file_that_is_no_keyring_is_refused_without_quoting_it(store: Store, keyring: Path, text: str) -> None:
    keyring.write_text(text)
    keyring.chmod(0o600)
    with pytest.raises(ConfigError, match="keyring") as caught:
        store.secrets.put("a", Secret(CANARY))
    assert text not in str(caught.value)
    assert keyring.read_text() == text


def test_old_keys_go_only_when_nothing_needs_them(store: Store, keyring: Path) -> None:
    assert store.secrets.drop_keys() == []
    store.secrets.put("a", Secret(CANARY))
    Keyring(keyring).add()
    store.secrets.put("b", Secret("under the new key"))
    with pytest.raises(ConfigError, match="still needs an old key"):
        store.secrets.drop_keys()
    assert list(store.secrets.rotate()) == [1]
    (old, new) = Keyring(keyring).keys()
    assert store.secrets.drop_keys() == [old]
    assert list(Keyring(keyring).keys()) == [new]
    assert (value(store, "a"), value(store, "b")) == (CANARY, "under the new key")


def test_examining_names_the_first_secret_that_cannot_be_read(store: Store, keyring: Path) -> None:
    assert store.secrets.examine() == 0
    for name in ("a", "b"):
        store.secrets.put(name, Secret(CANARY))
    assert store.secrets.examine() == 2
    keyring.chmod(0o644)
    with pytest.raises(ConfigError, match="open to other users"):
        store.secrets.examine()
    keyring.unlink()
    with pytest.raises(
        ConfigError, match=r"secret a: it is encrypted under the key \w+, which the keyring does not hold"
    ):
        store.secrets.examine()


def test_a_digest_takes_the_keyring_and_outlives_a_rotation(store: Store, keyring: Path) -> None:
    first = store.secrets.digest(b"a body")
    assert keyring.exists()
    list(store.secrets.rotate())
    assert store.secrets.digest(b"a body") == first != store.secrets.digest(b"another")
    keyring.unlink()
    assert store.secrets.digest(b"a body") != first


def test_a_rotation_makes_one_key_and_renews_everything(store: Store, keyring: Path) -> None:
    store.secrets.put("a", Secret(CANARY), lasts=timedelta(days=1))
    first = cipher.key_of(envelopes(store)["a"])
    assert list(store.secrets.rotate()) == [1]
    assert list(Keyring(keyring).keys()) == [first, cipher.key_of(envelopes(store)["a"])]
    assert value(store, "a") == CANARY


ROTATE = """
import sys
from cdp_bridge.store import Store
from cdp_bridge.store.secrets import secrets
secrets.BATCH = 20
with Store.open(sys.argv[1]) as store:
    print("ready", flush=True)
    for renewed in store.secrets.rotate():
        print(renewed, flush=True)
"""


def test_a_rotation_killed_at_any_point_loses_nothing_and_goes_on(
    store: Store, store_url: str, keyring: Path, start: Start
) -> None:
    ring, many = Keyring(keyring), [f"s{number:04}" for number in range(800)]
    ring.add()
    rows = [
        {"name": name, "envelope": cipher.seal(name.encode(), ("secret", name, "envelope"), ring.keys())}
        for name in many
    ]
    with store._database.writing() as connection:
        connection.execute(sa.insert(tables.secret), rows)
    dice = random.Random(11)
    for batches in (0, 8):
        rotation = start(ROTATE, store_url)
        for _ in range(1 + batches):
            rotation.stdout.readline()
        time.sleep(dice.random() * 0.01)
        os.kill(rotation.pid, signal.SIGKILL)
        rotation.communicate()
        assert opened(store, ring) == many
    assert len(ring.keys()) >= 2
    list(store.secrets.rotate())
    store.secrets.drop_keys()
    assert opened(store, ring) == many
    assert len(ring.keys()) == 1


def opened(store: Store, ring: Keyring) -> list[str]:
    """The secrets in all envelopes, by name."""
    keys = ring.keys()
    return [cipher.unseal(each, ("secret", name, "envelope"), keys).decode() for name, each in envelopes(store).items()]


def test_half_a_keyring_of_a_killed_process_is_replaced(store: Store, keyring: Path) -> None:
    half = keyring.with_name(".keyring.new")
    half.write_text("half a keyr")
    store.secrets.put("a", Secret(CANARY))
    assert not half.exists()
    assert value(store, "a") == CANARY


@pytest.mark.postgres
def test_a_secret_that_is_popped_during_a_rotation_does_not_come_back(postgres_url: str) -> None:
    with Store.open(postgres_url) as store, Store.open(postgres_url) as rival:
        store.secrets.put("state:1", Secret("once"))
        waiting = threading.Thread(target=rival.secrets.pop, args=("state:1",))

        def pop(*given: Any) -> None:
            if given[2].startswith("INSERT INTO secret") and not waiting.is_alive():
                waiting.start()
                while waiting.is_alive() and not waits(rival):
                    time.sleep(0.01)

        sa.event.listen(store._database.engine, "before_cursor_execute", pop)
        assert list(store.secrets.rotate()) == [1]
        waiting.join()
        assert envelopes(store) == {}


def waits(store: Store) -> bool:
    """Whether somebody waits for a lock of this database."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with store._database.reading() as connection:
        return bool(connection.exec_driver_sql(waiting).scalar())


def test_secrets_that_are_saved_during_a_rotation_stay(store: Store) -> None:
    for number in range(5):
        store.secrets.put(f"s{number}", Secret("old"))
    for _ in store.secrets.rotate():
        store.secrets.put("a-new", Secret("new"))
        store.secrets.put("s0", Secret("newer"))
    store.secrets.drop_keys()
    assert (value(store, "a-new"), value(store, "s0"), value(store, "s4")) == ("new", "newer", "old")
