"""A lease has one holder at a time; one that wakes up late can write nothing."""

import os
import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from cdp_bridge import processes
from cdp_bridge.store import LeaseHeldError, LeaseLostError, Store, tables

from .conftest import Clock, People, Start

HOLDER = """
import sys
from cdp_bridge.store import Store
with Store.open(sys.argv[1]) as store, store.lease("vip", 3600) as lease:
    print(lease.token, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def store(store_url: str, clock: Clock) -> Iterator[Store]:
    with Store.open(store_url, clock=clock) as opened:
        yield opened


def test_a_second_holder_is_told_who_and_until_when(store: Store, clock: Clock) -> None:
    with store.lease("vip", 60), store.lease("cart", 60):
        with pytest.raises(LeaseHeldError) as caught, store.lease("vip"):
            pytest.fail("two holders")
        assert caught.value.holder == f"process {os.getpid()} on {os.uname().nodename}"
        assert caught.value.until == datetime.fromtimestamp(clock.now + 60, UTC)


def test_tokens_only_grow_and_a_released_lease_is_free(store: Store) -> None:
    tokens = []
    for _ in range(3):
        with store.lease("vip") as lease:
            tokens.append(lease.token)
    assert tokens == [1, 2, 3]


def test_a_lease_is_given_back_after_an_exception(store: Store) -> None:
    with pytest.raises(InterruptedError), store.lease("vip"):
        raise InterruptedError
    with store.lease("vip") as lease:
        assert lease.token == 2


def test_an_expired_lease_is_taken_over_and_the_late_holder_is_refused(
    store: Store, clock: Clock, people: People, at: datetime
) -> None:
    with store.lease("vip", 60) as late:
        clock.now += 60
        with pytest.raises(LeaseLostError), store.transaction(late):
            pytest.fail("expired, nobody else yet")
        with store.lease("vip", 60) as newer:
            with pytest.raises(LeaseLostError), store.transaction(late) as change:
                change.put_members("vip", people(1), "accepted", at)
            with pytest.raises(LeaseLostError):
                late.renew()
            with store.transaction(newer) as change:
                change.put_members("vip", people(2), "accepted", at)
        assert newer.token == late.token + 1
    assert store.ledger.count("vip") == 2


def test_a_late_holder_does_not_release_the_lease_of_another(store: Store, clock: Clock) -> None:
    with store.lease("vip", 60):
        clock.now += 61
        newer = store.lease("vip", 60)
        newer.__enter__()
    with pytest.raises(LeaseHeldError), store.lease("vip"):
        pytest.fail("released by somebody else")
    newer.__exit__(None, None, None)


def test_a_renewed_lease_goes_on(store: Store, clock: Clock) -> None:
    with store.lease("vip", 60) as lease:
        for _ in range(5):
            clock.now += 50
            lease.renew()
        with store.transaction(lease):
            pass
        with pytest.raises(LeaseHeldError), store.lease("vip"):
            pytest.fail("two holders")


def test_another_process_is_refused_until_the_holder_dies(store_url: str, start: Start) -> None:
    holder = start(HOLDER, store_url)
    assert holder.stdout.readline() == "1\n"
    with Store.open(store_url) as store:
        with pytest.raises(LeaseHeldError, match=f"process {holder.pid} on "), store.lease("vip"):
            pytest.fail("two holders")
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        with store.lease("vip") as lease:
            assert lease.token == 2


def set_holder(store: Store, holder: str) -> None:
    with store._database.writing() as connection:
        connection.execute(sa.update(tables.lease).values(holder=holder))


def test_who_got_the_number_of_a_dead_holder_does_not_hold_its_lease(store: Store) -> None:
    with store.lease("vip", 3600):
        set_holder(store, re.sub(r"started \d+", "started 1", processes.this_process()))
        with store.lease("vip") as lease:
            assert lease.token == 2


@pytest.mark.parametrize("holder", ["process 999999999 on {host} {namespace}", "process 999999999 on {host}"])
def test_a_holder_of_an_earlier_version_is_waited_for(store: Store, clock: Clock, holder: str) -> None:
    namespace = Path("/proc/self/ns/pid").readlink().name
    with store.lease("vip", 60):
        set_holder(store, holder.format(host=os.uname().nodename, namespace=namespace))
        with pytest.raises(LeaseHeldError, match="process 999999999 on "), store.lease("vip"):
            pytest.fail("two holders")
        clock.now += 60
        with store.lease("vip") as lease:
            assert lease.token == 2


def test_a_paused_process_wakes_up_and_is_refused(store_url: str, start: Start, clock: Clock) -> None:
    late = start(
        """
import sys
from cdp_bridge.store import LeaseLostError, Store
with Store.open(sys.argv[1]) as store, store.lease("vip", 1) as lease:
    print("held", flush=True)
    sys.stdin.readline()
    try:
        with store.transaction(lease) as change:
            change.save_cursor("vip", "members", None, {"written by": "late"})
    except LeaseLostError:
        print("refused", flush=True)
""",
        store_url,
    )
    assert late.stdout.readline() == "held\n"
    os.kill(late.pid, signal.SIGSTOP)
    clock.now = datetime.now(UTC).timestamp() + 30
    with Store.open(store_url, clock=clock) as store:
        with store.lease("vip", 60) as lease:
            assert lease.token == 2
            os.kill(late.pid, signal.SIGCONT)
            late.stdin.write("\n")
            late.stdin.flush()
            assert late.stdout.readline() == "refused\n"
        assert store.cursor("vip", "members", None) is None


def test_rivals_get_a_free_lease_one_at_a_time(store_url: str, start: Start) -> None:
    rival = """
import sys
from cdp_bridge.store import LeaseHeldError, Store
with Store.open(sys.argv[1]) as store:
    won = 0
    while won < 20:
        try:
            with store.lease("vip") as lease, store.transaction(lease) as change:
                before = store.cursor("vip", "members", None) or {"tokens": []}
                change.save_cursor("vip", "members", None, {"tokens": before["tokens"] + [lease.token]})
                won += 1
        except LeaseHeldError:
            pass
"""
    Store.open(store_url).close()
    rivals = [start(rival, store_url) for _ in range(2)]
    assert [process.wait() for process in rivals] == [0, 0]
    with Store.open(store_url) as store:
        assert store.cursor("vip", "members", None) == {"tokens": list(range(1, 41))}


@pytest.mark.postgres
def test_a_holder_that_sleeps_in_a_transaction_blocks_nobody(postgres_url: str, start: Start, clock: Clock) -> None:
    # The migration may take longer than the time-out.
    Store.open(postgres_url).close()
    asleep = start(
        """
import sys
from cdp_bridge.store import Store, database
database.IDLE_SECONDS = 1
with Store.open(sys.argv[1]) as store, store.lease("vip", 1) as lease, store.transaction(lease):
    print("locked", flush=True)
    sys.stdin.readline()
""",
        postgres_url,
    )
    assert asleep.stdout.readline() == "locked\n"
    os.kill(asleep.pid, signal.SIGSTOP)
    clock.now = datetime.now(UTC).timestamp() + 30
    with Store.open(postgres_url, clock=clock) as store, store.lease("vip", 60) as lease:
        assert lease.token == 2
    os.kill(asleep.pid, signal.SIGKILL)
