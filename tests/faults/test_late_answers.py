"""Where a platform says late what became of a request: a sync that is killed at any instant, while the world goes on,
loses nobody and repeats little.
"""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from sandbox.trial import Controlled

from tests.recording_proxy import Exchange
from tests.truth import Truth, rows_of

PEOPLE, SEGMENT, CHURN = 1_000, "cart_abandoners_7d", 0.1
MAX_RUNS, IN_A_ROW = 12, 3

Member = frozenset[str]
"""The e-mails and phones that one member is sent with, and of TikTok the mobile ids."""


@dataclass(frozen=True)
class Change:
    """A request that the twin accepted: `add` or `remove`, of whom."""

    operation: str
    members: list[Member]
    request_id: str = ""


class KillCampaign:
    """Runs a sync repeatedly, as a schedule does, half as far apart as answers take; most runs are killed."""

    def __init__(self, harness: Any, proxy: Any, platform: str, half: float) -> None:
        self.harness, self.proxy, self.platform, self.half = harness, proxy, platform, half
        self.name = f"{platform}-{SEGMENT}"
        self.twin = Controlled(getattr(harness.twins, platform))
        self.truth = Truth(PEOPLE)
        self.runs = self.kills = self.allowed = 0
        self.known: set[str] = set()
        """Ids of the requests that the ledger has known of."""
        self.alike: Counter[Member] = Counter()
        """How many people are sent with the very same identifiers, at most."""

    def kill_at(self, point: str, passes: int = 1) -> None:
        """A run that is killed at a named failpoint."""
        self._next()
        with self.harness.start("sync", "--all", CDP_BRIDGE_FAILPOINT=f"{point}:{passes}") as process:
            process.communicate()
        self._count_kill(process.returncode)

    def kill_at_request(self, path: str) -> None:
        """A run that dies when the twin has done what it was asked, and nobody has exchanges of it."""
        self._next()
        with self.harness.start("sync", "--all") as process:
            self.proxy.once(path, process.kill)
            process.communicate()
        self._count_kill(process.returncode, settling=True)

    def heal(self) -> None:
        """A run that is left alone."""
        self._next()
        self._sync()

    def calm(self) -> None:
        """Run until there is nothing left to do, in a world that stands still."""
        for _ in range(MAX_RUNS):
            log = self._sync()
            if (log["status"], log["membership_calls"], self._deliveries()) == ("succeeded", 0, []):
                return
        raise AssertionError(f"{MAX_RUNS} runs were not enough: {log}")

    def changes(self) -> Iterator[Change]:
        """Every change that the twin accepted, in order."""
        read = {"google": google, "tiktok": tiktok}[self.platform]
        yield from read(self.proxy.exchanges)

    def _next(self) -> None:
        self.runs += 1
        self.truth.churn(self.harness, CHURN, seed=self.runs)
        people = self.truth.eligible(SEGMENT, self.platform).values()
        self.alike |= Counter(self.truth.member(self.platform, person) for person in people)

    def _sync(self) -> Any:
        ended = self.harness.bridge("sync", "--all", "--json")
        assert ended.code == 0, ended.err + ended.out
        self._look()
        return ended.json[0]

    def _count_kill(self, code: int | None, *, settling: bool = False) -> None:
        """Count a kill, and the rows that may be sent twice for it: those of the batch in flight or being settled."""
        self.kills += code == -signal.SIGKILL
        open_ones = self._look()
        sending = [one for one in open_ones if one.status == "sending"]
        assert len(sending) <= 1
        self.allowed += max(map(rows_of, sending or (open_ones if settling else [])), default=0)

    def _look(self) -> list[Any]:
        """What is open after a run; then time passes."""
        open_ones = self._deliveries()
        under_way: dict[str, set[bytes]] = {"add": set(), "remove": set()}
        for one in open_ones:
            under_way[one.operation].update(key for key, *_ in one.members)
        assert under_way["add"].isdisjoint(under_way["remove"])
        self.known |= {one.pending for one in open_ones if one.pending}
        self.twin.advance(self.half)
        return open_ones

    def _deliveries(self) -> list[Any]:
        with self.harness.store() as store:
            return list(store.deliveries(self.name))


def google(exchanges: Iterable[Exchange]) -> Iterator[Change]:
    """The changes among the exchanges with Google."""
    for one in exchanges:
        found = re.search("audienceMembers:(ingest|remove)$", one.request.path)
        if found and one.status == 200:
            sent = json.loads(one.request.body)["audienceMembers"]
            identifiers = [member["compositeData"]["userData"]["userIdentifiers"] for member in sent]
            members = [
                frozenset(value for each in some for name, value in each.items() if name != "address")
                for some in identifiers
            ]
            yield Change({"ingest": "add"}.get(found[1], found[1]), members, json.loads(one.answer)["requestId"])


def tiktok(exchanges: Iterable[Exchange]) -> Iterator[Change]:
    """The changes among the exchanges with TikTok."""
    for one in exchanges:
        if one.request.path.endswith("/segment/mapping/") and json.loads(one.answer)["code"] == 0:
            body = json.loads(one.request.body)
            members = [frozenset(cell["id"] for cell in row if cell) for row in body["batch_data"]]
            yield Change({"delete": "remove"}.get(body["action"], "add"), members)


def count_repeats(changes: Iterable[Change], alike: Counter[Member]) -> int:
    """How many members were added who were in, or taken out who had been taken out."""
    repeated, held, gone = 0, Counter[Member](), set[Member]()
    linked: dict[str, set[Member]] = {}
    for change in changes:
        if change.operation == "add":
            for member in change.members:
                repeated += held[member] >= max(1, alike[member])
                held[member] += 1
                gone.discard(member)
                for identifier in member:
                    linked.setdefault(identifier, set()).add(member)
        else:
            repeated += sum(member in gone for member in set(change.members))
            for identifier in (identifier for member in change.members for identifier in member):
                for member in linked.pop(identifier, ()):
                    held[member] = 0
            gone |= set(change.members)
    return repeated


def in_flight_both_ways(campaign: KillCampaign) -> set[str]:
    """Identifiers of one person in an addition and a removal that Google had both taken and done neither.

    Only of requests of which the ledger has exchanges: of others nobody knows whether they were sent.
    """
    submissions = campaign.twin.control("GET", "submissions")
    times = {each["request_id"]: (each["sent"], each["due"]) for each in submissions}
    known = [change for change in campaign.changes() if change.request_id in campaign.known]
    return {
        identifier
        for one in known
        for other in known
        if (one.operation, other.operation) == ("add", "remove")
        and max(times[one.request_id][0], times[other.request_id][0])
        < min(times[one.request_id][1], times[other.request_id][1])
        for identifier in frozenset[str]().union(*one.members) & frozenset[str]().union(*other.members)
        if campaign.truth.is_of_one(campaign.platform, identifier)
    }


POINTS = [
    *(partial(KillCampaign.kill_at, point=point) for point in ("delivery_opened", "written", "delivery_closed")),
    *(partial(KillCampaign.kill_at, point=point, passes=2) for point in ("delivery_opened", "written")),
    partial(KillCampaign.kill_at, point="delivery_closed", passes=3),
    *(partial(KillCampaign.kill_at, point=point) for point in ("staged", "diffed", "finished")),
]
REQUESTS = {
    "google": ("userLists$", "audienceMembers:ingest", "audienceMembers:remove", "requestStatus"),
    "tiktok": ("/segment/audience/", "/segment/mapping/"),
}


@pytest.fixture
def campaign(bridge_sandbox: Any, way: str) -> Iterator[KillCampaign]:
    platform, half = way.partition("-")[0], {"google": 900.0}.get(way, 1_800.0)
    with bridge_sandbox(PEOPLE, SEGMENT, platforms=[platform]) as harness, harness.record(platform) as proxy:
        campaign = KillCampaign(harness, proxy, platform, half)
        yield campaign
        campaign.twin.close()


@pytest.mark.parametrize("way", REQUESTS)
def test_kills_lose_nobody_and_repeat_little(campaign: KillCampaign, way: str) -> None:
    kills = [partial(KillCampaign.kill_at_request, path=path) for path in REQUESTS[way]]
    kills += POINTS if way != "tiktok" else POINTS[1:2]
    for number, kill in enumerate(kills, 1):
        kill(campaign)
        if number % IN_A_ROW == 0:
            campaign.heal()
    campaign.calm()
    assert campaign.kills == len(kills)
    assert campaign.truth.differences(campaign.harness, SEGMENT, campaign.platform) == []
    assert 0 < count_repeats(campaign.changes(), campaign.alike) <= campaign.allowed
    if campaign.platform == "google":
        assert in_flight_both_ways(campaign) == set()
