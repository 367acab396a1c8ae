"""Pruning deletes what is older, a batch at a time; wiping leaves no byte of it in the files."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cdp_bridge.entities import (
    Bridge,
    CDPConnection,
    ConversionFeed,
    DeadLetter,
    DestinationAccount,
    MatchEstimate,
    SyncLog,
)
from cdp_bridge.errors import TransientError
from cdp_bridge.secrets import Secret
from cdp_bridge.store import Delivery, Store, retention
from cdp_bridge.store.access.audit import AuditRecord
from cdp_bridge.store.retention import CONVERSION_DAYS, Pruned, Retention
from cdp_bridge.testing.configuring import configure

from .conftest import Clock, People

KEEP = Retention(runs=30, requests=20, dead_letters=10, audit=40)
NOTHING = Pruned(runs=0, match_estimates=0, requests=0, dead_letters=0, audit=0, secrets=0, conversions=0)


@pytest.fixture
def store(store_url: str, clock: Clock) -> Iterator[Store]:
    with Store.open(store_url, clock=clock) as opened:
        yield opened


def dead_letter(number: int, at: datetime) -> DeadLetter:
    key = number.to_bytes(16, "big")
    return DeadLetter(
        audience="vip", member_key=key, fingerprint=key, operation="add", reason="meta:100", run_id="r", created_at=at
    )


def make_rows(store: Store, name: str, at: datetime) -> str:
    """Make one row of everything; the id of the request."""
    with store.transaction() as change:
        change.save_run(SyncLog(run_id=f"run-{name}", audience=name, sync_timestamp=at, status="succeeded"))
        change.save_dead_letters([dead_letter(int(at.timestamp()), at)])
        change.save_match_estimate(MatchEstimate(audience=name, at=at, source="audience", members=5, lower_rate=0.5))
    store.audit.add(AuditRecord(who="anna", action="create", kind="audience", name=name))
    request = store.requests.add(name, "anna")
    store.notes.add(request.id, text="began")
    with store.requests.hold(name) as lease:
        store.requests.start(request.id, lease)
        store.requests.finish(request.id, lease, "succeeded", f"run-{name}")
    return request.id


def test_each_table_has_its_own_retention(store: Store, clock: Clock, at: datetime) -> None:
    request = make_rows(store, "vip", at)
    with store.transaction() as change:
        change.save_run(SyncLog(run_id="later", audience="vip", sync_timestamp=at + timedelta(seconds=1)))
    assert store.prune(KEEP) == NOTHING
    pruned = []
    for day in (10, 20, 30, 40):
        clock.now = (at + timedelta(days=day)).timestamp()
        assert store.prune(KEEP) == NOTHING
        clock.now += 1
        pruned.append(store.prune(KEEP))
    assert [(each.dead_letters, each.requests, each.runs, each.match_estimates, each.audit) for each in pruned] == [
        (1, 0, 0, 0, 0),
        (0, 1, 0, 0, 0),
        (0, 0, 1, 1, 0),
        (0, 0, 0, 0, 0),
    ]
    assert store.notes.after(request, 0) == []
    assert [run.run_id for run in store.runs()] == ["later"]


def test_the_newest_run_of_an_audience_and_open_requests_stay(store: Store, clock: Clock, at: datetime) -> None:
    make_rows(store, "vip", at)
    make_rows(store, "cart", at - timedelta(days=900))
    waiting = store.requests.add("vip", "anna")
    clock.now += 86_400 * 1_000
    gone = Pruned(runs=0, match_estimates=2, requests=2, dead_letters=2, audit=1, secrets=0, conversions=0)
    assert store.prune(KEEP) == gone
    assert {run.run_id for run in store.runs()} == {"run-vip", "run-cart"}
    assert store.requests.newest() == [waiting]


def test_secrets_are_deleted_when_they_have_expired(
    store: Store, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDP_BRIDGE_KEYRING", str(tmp_path / "keyring"))
    store.secrets.put("state:1", Secret("pending"), lasts=timedelta(minutes=10))
    store.secrets.put("token", Secret("for ever"))
    clock.now += 601
    assert store.prune(KEEP).secrets == 1
    assert store.secrets.get("token") is not None


def test_conversions_are_remembered_until_they_are_too_old_to_be_sent(store: Store, clock: Clock, at: datetime) -> None:
    configure(
        store,
        Bridge(
            connections=(CDPConnection(name="cdp", cdp_provider="source-file"),),
            destinations=(DestinationAccount(name="ads", connector="destination-meta"),),
            mappings={"orders": ()},
            conversions=(ConversionFeed(name="orders", connection="cdp", destination="ads", mapping="orders"),),
        ),
    )
    row = (b"k" * 16, b"f" * 16, None, b"")
    with store.transaction() as change:
        for name in ("orders", "vip"):
            change.put_members(name, [row], "accepted", at)
    clock.now = (at + timedelta(days=CONVERSION_DAYS)).timestamp()
    assert store.prune(KEEP).conversions == 0
    clock.now += 1
    assert store.prune(KEEP).conversions == 1
    assert (store.ledger.count("orders"), store.ledger.count("vip")) == (0, 1)


def test_many_are_deleted_in_batches_that_let_others_write(
    store: Store, clock: Clock, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 100)
    with store.transaction() as change:
        change.save_dead_letters([dead_letter(number, at) for number in range(250)])
    deleted: list[int] = []

    def count(*given: Any) -> None:
        if given[2].startswith("DELETE FROM dead_letter"):
            deleted.append(given[1].rowcount)

    sa.event.listen(store._database.engine, "after_cursor_execute", count)
    clock.now += 86_400 * 11
    assert store.prune(KEEP).dead_letters == 250
    assert deleted == [100, 100, 50]
    assert store.dead_letters.listed() == []


CANARIES = (b"canary-user-77", b"canary-digest-77")


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_nothing_of_an_erased_person_is_left_in_the_files(tmp_path: Path, people: People, at: datetime) -> None:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        person = (b"k" * 16, b"f" * 16, CANARIES[0].decode(), CANARIES[1])
        with store.transaction() as change:
            change.put_members("vip", [*people(500), person], "accepted", at)
            change.open_delivery(
                Delivery(
                    id="d", audience="vip", operation="add", run_id="r", members=[*people(2_000), person], created_at=at
                )
            )
        with store.transaction() as change:
            change.close_delivery("d")
            change.drop_members("vip", [person[0]])
        assert all(canary in bytes_of(tmp_path) for canary in CANARIES)
        store.wipe()
        rest = bytes_of(tmp_path)
        assert not any(canary in rest for canary in CANARIES)
        assert b"user-499" in rest
        assert store.ledger.count("vip") == 500


def test_deleted_bytes_that_are_still_read_are_wiped_later(tmp_path: Path, people: People, at: datetime) -> None:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        impatient = "PRAGMA busy_timeout = 50"
        sa.event.listen(store._database.engine, "checkout", lambda connection, *_: connection.execute(impatient))
        with store.transaction() as change:
            change.put_members("vip", people(100), "accepted", at)
        reader = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM member").fetchone()
        with store.transaction() as change:
            change.drop_members("vip", [key for key, *_ in people(100)])
        with pytest.raises(TransientError, match="still in the file"):
            store.wipe()
        reader.close()
        store.wipe()
        assert b"user-99" not in bytes_of(tmp_path)
