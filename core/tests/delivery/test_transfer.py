"""Deliveries need an audience and a way to record them, and no run: triggers will deliver without one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec
import pytest
from cdp_bridge.delivery.sender import Sender
from cdp_bridge.delivery.transfer import DeliveryCounts, Recorder, Transfer
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import AudienceRef, Limits, Outcome
from cdp_bridge.staging.packing import Row, fingerprint
from cdp_bridge.store import Lease, LeaseLostError, Transaction

from ..conftest import SyncHarness

REF = AudienceRef(id="a1", account="act_1")


def row(name: str) -> Row:
    packed = msgspec.msgpack.encode({"email": hashlib.sha256(name.encode()).digest()})
    return name.encode().ljust(16), fingerprint(packed), name, packed


def transfer(harness: SyncHarness, lease: Lease, counts: DeliveryCounts) -> Transfer:
    harness.platform.audiences.setdefault(REF.id, set())
    recorder = Recorder(
        audience="vip",
        run_id="trigger 1",
        transaction=partial(harness.store.transaction, lease),
        counts=counts,
    )
    return Transfer(harness.store, recorder, Sender(harness.platform, Limits()), ("email",))


def deliver(made: Transfer, *names: str, operation: Any = "add") -> None:
    made.deliver_all(REF, operation, iter([[row(name)] for name in names]), len(names), lambda _: None)


def test_members_are_delivered_without_a_run(harness: SyncHarness) -> None:
    counts = DeliveryCounts()
    with harness.store.lease("vip") as lease:
        deliver(transfer(harness, lease, counts), "ada", "bob")
    assert (counts.calls, counts.processed, counts.rejected, counts.unknown) == (2, 2, 0, 0)
    assert set(harness.ledger()) == {"ada", "bob"}
    assert set(harness.ledger().values()) == harness.platform.held
    assert (harness.store.deliveries("vip"), harness.store.runs("vip")) == ([], [])


def test_counts_are_complete_when_the_transaction_that_records_them_ends(harness: SyncHarness) -> None:
    """Whoever delivers saves them in it, so that they hold for exactly what is in the ledger then."""
    counts, saved = DeliveryCounts(), []
    harness.platform.answers = [
        lambda batch: Outcome(rejected=dict.fromkeys(batch.keys, "bad")),
        lambda batch: Outcome(unknown=frozenset(batch.keys)),
        lambda batch: Outcome(counts={"too_old": 1}),
    ]
    with harness.store.lease("vip") as lease:

        @contextmanager
        def recorded() -> Iterator[Transaction]:
            with harness.store.transaction(lease) as transaction:
                yield transaction
                saved.append((counts.processed, counts.rejected, counts.unknown, dict(counts.reasons)))

        recorder = Recorder(audience="vip", run_id="trigger 1", transaction=recorded, counts=counts)
        deliver(Transfer(harness.store, recorder, Sender(harness.platform, Limits()), ("email",)), "ada", "bob", "cyd")
    assert saved == [(0, 0, 0, {}), (1, 1, 0, {}), (2, 1, 1, {}), (3, 1, 2, {"too_old": 1})]
    (letter,) = harness.store.dead_letters.listed("vip")
    assert (letter.reason, letter.run_id) == ("bad", "trigger 1")


def test_the_next_one_settles_what_was_left_open(harness: SyncHarness) -> None:
    harness.platform.answers = [ConfigError("the token has expired")]
    with harness.store.lease("vip") as lease:
        with pytest.raises(ConfigError):
            deliver(transfer(harness, lease, DeliveryCounts()), "ada")
        assert len(harness.store.deliveries("vip")) == 1
        transfer(harness, lease, DeliveryCounts()).settle(harness.platform, REF)
    assert harness.store.deliveries("vip") == []
    assert harness.doubts() == 1


def test_who_has_lost_the_lease_delivers_nothing(harness: SyncHarness) -> None:
    with harness.store.lease("vip", seconds=10) as lease:
        late = transfer(harness, lease, DeliveryCounts())
        harness.clock.passed += 60
        with harness.store.lease("vip"), pytest.raises(LeaseLostError):
            deliver(late, "ada")
    assert harness.platform.calls == 0
