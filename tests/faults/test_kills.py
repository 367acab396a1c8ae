"""`cdp-bridge sync` killed for real, at every named instant and at random ones: nobody lost, nothing sent twice but
what was on its way.
"""

from __future__ import annotations

import random
import signal
import time
from typing import Any

import pytest
from cdp_bridge import failpoint

from tests.truth import Truth, ledger, rows_needed, rows_of

PEOPLE, SEGMENT, NAME = 1_500, "everyone", "meta-everyone"
RANDOM_KILLS, RANDOM_IN_A_ROW, NAMED_IN_A_ROW = 30, 5, 3
# Shares of the time that a whole sync takes: before, it only starts.
FROM, TO = 0.3, 1.2
LATER = [(point, passes) for passes in (2, 3) for point in ("delivery_opened", "written", "delivery_closed")]


class KillCampaign:
    """Kills a sync several times in a row, lets one end, and counts the rows that were sent again."""

    def __init__(self, harness: Any) -> None:
        self.harness, self.truth = harness, Truth(PEOPLE)
        self.kills = self.in_flight = self.received = self.repeated = 0
        # Of the last sync that was left alone, in seconds; measured again and again, since the machine has other work.
        self.length = 0.0

    def cycle(self, *kills: Any, refill: bool) -> None:
        """One change of people, some kills, one undisturbed run, and then both sides must be equal."""
        if refill:
            self._lose_the_audience()
        else:
            self.truth.churn(self.harness, 0.5, seed=self.kills)
        with self.harness.store() as store:
            before = {} if refill else ledger(store, NAME)
        received = 0 if refill else self._received()
        allowed = sum(map(self._kill, kills))
        started = time.monotonic()
        healed = self.harness.bridge("sync", "--all", "--json")
        self.length = time.monotonic() - started
        assert healed.code == 0, healed.err + healed.out
        assert healed.json[0]["status"] == "succeeded"
        assert self.truth.differences(self.harness, SEGMENT) == []
        with self.harness.store() as store:
            needed = rows_needed(before, ledger(store, NAME))
        received = self._received() - received
        assert needed <= received <= needed + allowed
        self.received += received
        self.repeated += received - needed

    def _kill(self, kill: Any) -> int:
        """The rows that were on their way when the process died."""
        was_killed = kill()
        with self.harness.store() as store:
            open_ones = [one for one in store.deliveries(NAME) if one.status == "sending"]
        assert len(open_ones) <= 1
        self.kills += was_killed
        self.in_flight += bool(open_ones)
        return sum(map(rows_of, open_ones))

    def kill_at(self, point: str, passes: int) -> bool:
        with self.harness.start("sync", "--all", CDP_BRIDGE_FAILPOINT=f"{point}:{passes}") as process:
            process.communicate()
        return bool(process.returncode == -signal.SIGKILL)

    def kill_after(self, seconds: float) -> bool:
        with self.harness.start("sync", "--all") as process:
            time.sleep(seconds)
            process.kill()
            process.communicate()
        return bool(process.returncode == -signal.SIGKILL)

    def _lose_the_audience(self) -> None:
        with self.harness.store() as store:
            ref = store.audience_ref(NAME)
        if ref:
            url = f"{self.harness.twins.meta}/v26.0/{ref.id}?access_token=sandbox-token"
            assert self.harness.ask(url, method="DELETE") == [{"success": True}]
            # It shows at the next request only, so let there be one.
            self.truth.churn(self.harness, 0.02, seed=self.kills)

    def _received(self) -> int:
        held = [one for one in self.harness.meta("audiences") if not one["deleted"]]
        return sum(one["rows_received"] for one in held)


@pytest.fixture(scope="module")
def campaign(bridge_sandbox_of_small_batches: Any) -> Any:
    with bridge_sandbox_of_small_batches(PEOPLE, SEGMENT) as harness:
        yield KillCampaign(harness)


def test_a_kill_at_any_named_instant(campaign: Any) -> None:
    points = [*((point, 1) for point in failpoint.NAMES), *LATER]
    for number in range(0, len(points), NAMED_IN_A_ROW):
        kills = [lambda at=at: campaign.kill_at(*at) for at in points[number : number + NAMED_IN_A_ROW]]
        campaign.cycle(*kills, refill=number != NAMED_IN_A_ROW)
    assert campaign.kills == len(points), "too little traffic"
    assert campaign.in_flight >= 6, "too little traffic"


def test_a_kill_at_any_instant(campaign: Any) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    killed, received = campaign.kills, campaign.received
    campaign.cycle(refill=True)
    for number in range(0, RANDOM_KILLS, RANDOM_IN_A_ROW):
        moments = [dice.uniform(FROM, TO) * campaign.length for _ in range(RANDOM_IN_A_ROW)]
        campaign.cycle(*(lambda at=at: campaign.kill_after(at) for at in moments), refill=number % 2 == 0)
    assert campaign.kills - killed >= RANDOM_KILLS // 2, f"too few kills (seed {seed})"
    assert campaign.received - received >= PEOPLE, f"too little traffic (seed {seed})"
