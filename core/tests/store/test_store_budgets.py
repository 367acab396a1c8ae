"""All processes together reserve no more requests in any window than the account takes."""

import json
import random
from collections.abc import Iterator

import pytest
from cdp_bridge.model import Limits
from cdp_bridge.store import Store

from .conftest import Clock, Start

TAKER = """
import json, sys, time
from cdp_bridge.model import Limits
from cdp_bridge.store import Store
seen = []
def clock():
    seen.append(time.time())
    return seen[-1]
with Store.open(sys.argv[1], clock=clock) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    taken = []
    while len(taken) < 25:
        if (wait := store.take("act_1", Limits(requests=20, seconds=1))) == 0:
            taken.append(seen[-1])
        time.sleep(min(wait, 0.02))
print(json.dumps(taken))
"""


@pytest.fixture
def store(store_url: str, clock: Clock) -> Iterator[Store]:
    with Store.open(store_url, clock=clock) as opened:
        yield opened


def busiest_window(times: list[float], seconds: float) -> int:
    return max(sum(start <= moment < start + seconds for moment in times) for start in times)


def test_a_spent_budget_says_how_long_to_wait_and_that_is_enough(store: Store, clock: Clock) -> None:
    limits = Limits(requests=3, seconds=60)
    assert [store.take("act_1", limits) for _ in range(3)] == [0, 0, 0]
    wait = store.take("act_1", limits)
    assert 60 <= wait <= 61
    assert store.take("act_2", limits) == 0
    clock.now += wait
    assert [store.take("act_1", limits) for _ in range(3)] == [0, 0, 0]
    assert store.take("act_1", limits) > 0


@pytest.mark.parametrize("seed", range(3))
def test_no_window_is_overdrawn_at_any_pace(store: Store, clock: Clock, seed: int) -> None:
    dice, limits = random.Random(seed), Limits(requests=7, seconds=10)
    taken = []
    for _ in range(150):
        clock.now += dice.choice((0, 0, 0.1, 0.5, 3))
        wait = store.take("act_1", limits)
        if wait == 0:
            taken.append(clock.now)
        elif dice.random() < 0.3:
            clock.now += wait
    assert len(taken) > 30
    assert busiest_window(taken, limits.seconds) == limits.requests


def test_a_pause_is_for_everybody_and_the_longer_one_stays(store: Store, clock: Clock) -> None:
    limits = Limits(requests=100)
    store.pause("act_1", 30)
    store.pause("act_1", 10)
    assert store.take("act_1", limits) == pytest.approx(30)
    assert store.take("act_1", Limits()) == pytest.approx(30)
    assert store.take("act_2", limits) == 0
    clock.now += 30
    assert store.take("act_1", limits) == 0
    store.pause("act_1", 5)
    assert store.take("act_1", limits) == pytest.approx(5)


def test_without_a_limit_nothing_is_counted(store: Store) -> None:
    assert {store.take("act_1", Limits(requests=None)) for _ in range(10)} == {0.0}


def test_a_clock_that_jumps_back_does_not_block_the_account(store: Store, clock: Clock) -> None:
    limits = Limits(requests=1, seconds=60)
    assert store.take("act_1", limits) == 0
    clock.now -= 10 * 365 * 86_400
    assert store.take("act_1", limits) == 0
    assert store.take("act_1", limits) <= 61


def test_two_processes_share_one_budget(store_url: str, start: Start) -> None:
    Store.open(store_url).close()
    takers = [start(TAKER, store_url) for _ in range(2)]
    assert [taker.stdout.readline() for taker in takers] == ["ready\n"] * 2
    for taker in takers:
        taker.stdin.write("\n")
        taker.stdin.flush()
    shares = [json.loads(taker.communicate()[0]) for taker in takers]
    assert list(map(len, shares)) == [25, 25]
    assert busiest_window(shares[0] + shares[1], 1) <= 20


def test_a_block_is_reserved_whole_or_not_at_all(store: Store) -> None:
    limits = Limits(requests=10, seconds=60)
    assert store.take("act_9", limits, 8) == 0
    assert store.take("act_9", limits, 3) > 0
    assert store.take("act_9", limits, 2) == 0
