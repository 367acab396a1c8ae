"""destination-tiktok under the conformance kit, by both of its ways, against the strict TikTok twin."""

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cdp_bridge.testing import DestinationSuite, DestinationTwin
from cdp_bridge.testing.harness import Clock, DestinationHarness, new_audience, pointed_at
from cdp_bridge.testing.relay import Headers, Relay, Request
from destination_tiktok import CONNECTOR
from msgspec import structs

from .conftest import Account


class TestDestinationTikTok(DestinationSuite):
    connector = CONNECTOR


class FileHarness(DestinationHarness):
    """Knows that an audience which is made from files has no id before the first of them."""

    @contextlib.contextmanager
    def open(self) -> Iterator[Any]:
        self.ref = self.ref if self.ref and self.ref.id else None
        with super().open() as opened:
            yield opened

    def rows(self) -> Counter[frozenset[str]]:
        with self.code.open(self.settings) as writer:
            self.ref = self.sender(writer).ensure(self.audience)
        return super().rows()

    def prepare(self) -> None:
        self.send("add", [0])
        self.rows()


class TestDestinationTikTokFiles(DestinationSuite):
    connector = CONNECTOR

    @pytest.fixture
    def twin(self, account: Account, twin: DestinationTwin) -> DestinationTwin:
        """The people of the kit are few, and its batches follow each other at once."""
        account.configure(floor=0, processing=0, app={"allow_list": False})
        settings, wrong = ({**raw, "upload": "file"} for raw in (twin.settings, twin.wrong_settings))
        return replace(
            twin, settings=settings, wrong_settings=wrong, members=lambda name: twin.members(name or _newest(account))
        )

    @pytest.fixture
    def harness(self, twin: DestinationTwin, relay: Relay | None, clock: Clock) -> FileHarness:
        return FileHarness(CONNECTOR, pointed_at(relay, twin, twin.settings), relay, clock, twin, new_audience())

    def test_must_26_an_audience_is_found_again(self, harness: DestinationHarness) -> None:
        """There is none to be found before it has got somebody."""
        marker = harness.audience.marker
        for other in (f"{marker}0", marker[:-1], f"{marker} ", marker.upper(), f"x{marker}", marker):
            replace(harness, audience=structs.replace(harness.audience, marker=other)).prepare()
        super().test_must_26_an_audience_is_found_again(harness)

    @pytest.mark.parametrize("failure", ["503", "429", "cut"])
    def test_must_37_a_batch_is_sent_once(self, harness: DestinationHarness, wire: Relay, failure: str) -> None:
        """Nobody is removed from an audience that is not there."""
        harness.prepare()
        super().test_must_37_a_batch_is_sent_once(harness, wire, failure)


def _counted(account: Any, pixel: str) -> list[Any]:
    return [one for one in account.lines("events") if one["pixel_id"] == pixel and not one["duplicate"]]


def _newest(account: Any) -> str:
    return str(account.audiences()[-1]["id"])


class Picky(Relay):
    """Lets the twin refuse a whole request that holds a given value, the one way of refusing that TikTok knows."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.refused: list[str] = []

    def ask(self, request: Request) -> tuple[int, Headers, bytes]:
        if any(value.encode() in request.body for value in self.refused):
            return 200, [], json.dumps({"code": 40062, "message": "PII is not hashed", "data": {}}).encode()
        return super().ask(request)


@pytest.fixture
def picky(twin_url: str) -> Iterator[Picky]:
    relay = Picky(twin_url)
    with relay.running():
        yield relay


@pytest.fixture
def twin(account: Account, picky: Picky) -> DestinationTwin:
    pixel = f"C{account.number}"
    account.configure(advertisers={account.number: {"web": [pixel]}})
    settings = {"access_token": account.token, "advertiser_id": account.number, "base_url": picky.url}
    settings |= {"event_source_id": pixel}
    return DestinationTwin(
        settings=settings,
        wrong_settings=settings | {"access_token": "token-of-nobody"},
        audiences=lambda: {audience["id"] for audience in account.audiences()},
        members=lambda audience: [set(row.values()) for row in account.rows(audience)],
        conversions=lambda: Counter(one["event_id"] for one in _counted(account, pixel)),
        refuse={"request": picky.refused.append},
        url=picky.url,
    )
