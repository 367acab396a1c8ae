"""destination-tiktok under the conformance kit, against the strict TikTok twin."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cdp_bridge.testing import DestinationSuite, DestinationTwin
from cdp_bridge.testing.relay import Headers, Relay, Request
from destination_tiktok import CONNECTOR


class TestDestinationTikTok(DestinationSuite):
    connector = CONNECTOR


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
def twin(account: Any, picky: Picky) -> DestinationTwin:
    settings = {"access_token": account.token, "advertiser_id": account.number, "base_url": picky.url}
    return DestinationTwin(
        settings=settings,
        wrong_settings=settings | {"access_token": "token-of-nobody"},
        audiences=lambda: {audience["id"] for audience in account.audiences()},
        members=lambda audience: [set(row.values()) for row in account.rows(audience)],
        refuse={"request": picky.refused.append},
        url=picky.url,
    )
