"""destination-meta under the conformance kit, against the strict Meta twin."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from cdp_bridge.testing import DestinationSuite, DestinationTwin
from cdp_bridge.testing.relay import Headers, Relay, Request
from destination_meta import CONNECTOR

from .conftest import Account


class TestDestinationMeta(DestinationSuite):
    connector = CONNECTOR


class Picky(Relay):
    """Lets the twin find rows badly formed that hold a given value (contract 4.2), or refuse the whole request."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.refused: dict[str, str] = {}

    def by_row(self, value: str) -> None:
        """Name it among the samples."""
        self.refused[value] = "row"

    def by_count(self, value: str) -> None:
        """Only count it: the samples are a sample."""
        self.refused[value] = "count"

    def by_request(self, value: str) -> None:
        """Take nothing of a request that holds it."""
        self.refused[value] = "request"

    def ask(self, request: Request) -> tuple[int, Headers, bytes]:
        """The twin's answer, once each refused value in the request is badly formed."""
        body = request.body.decode()
        spoilt = {f"!{value[1:]}": value for value in self.refused if value in body}
        if "request" in {self.refused[value] for value in spoilt.values()}:
            return 400, [], json.dumps({"error": {"code": 100, "message": "(#100) Invalid parameter"}}).encode()
        for bad, value in spoilt.items():
            body = body.replace(value, bad)
        status, headers, answer = super().ask(Request(request.method, request.path, request.headers, body.encode()))
        return status, headers, self._told(json.loads(answer), spoilt) if spoilt else answer

    def _told(self, answer: Any, spoilt: dict[str, str]) -> bytes:
        """The answer with samples as they were sent, and only of those rows that are to be named."""
        samples = {spoilt[cell]: name for cell, name in answer["invalid_entry_samples"].items()}
        named = {value: name for value, name in samples.items() if self.refused[value] == "row"}
        return json.dumps(answer | {"invalid_entry_samples": named}).encode()


def _counted(account: Any, dataset: str) -> list[Any]:
    return [one for one in account.lines("events") if one["pixel_id"] == dataset and not one["duplicate"]]


@pytest.fixture
def picky(twin_url: str) -> Iterator[Picky]:
    relay = Picky(twin_url)
    with relay.running():
        yield relay


@pytest.fixture
def twin(account: Account, picky: Picky) -> DestinationTwin:
    dataset = str(account.number)
    account.configure_account(pixels=[dataset])
    settings = {"access_token": account.token, "ad_account_id": dataset, "dataset_id": dataset, "base_url": picky.url}
    return DestinationTwin(
        settings=settings,
        wrong_settings=settings | {"access_token": "token-of-nobody"},
        audiences=lambda: {audience["id"] for audience in account.audiences()},
        members=lambda audience: [list(row.values()) for row in account.rows(audience)],
        conversions=lambda: Counter(one["event_id"] for one in _counted(account, dataset)),
        refuse={"row": picky.by_row, "count": picky.by_count, "request": picky.by_request},
        url=picky.url,
    )
