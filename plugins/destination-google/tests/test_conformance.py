"""destination-google under the conformance kit, against the strict Google twin."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cdp_bridge.testing import DestinationSuite, DestinationTwin
from cdp_bridge.testing.relay import Headers, Relay, Request
from destination_google import CONNECTOR


class TestDestinationGoogle(DestinationSuite):
    connector = CONNECTOR


class Picky(Relay):
    """Lets the twin refuse members who have a given value: name them, count them later, or refuse all at once."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.refused: dict[str, str] = {}

    def by_row(self, value: str) -> None:
        """Refuse the request, and name the member."""
        self.refused[value] = "row"

    def by_count(self, value: str) -> None:
        """Take the request, and only count the member: it denied its consent."""
        self.refused[value] = "count"

    def by_request(self, value: str) -> None:
        """Refuse a request that holds it without a word on why."""
        self.refused[value] = "request"

    def ask(self, request: Request) -> tuple[int, Headers, bytes]:
        if "audienceMembers" not in request.path:
            return super().ask(request)
        body = json.loads(request.body)
        for member in body["audienceMembers"]:
            kinds = {kind for value, kind in self.refused.items() if value in json.dumps(member)}
            if "request" in kinds:
                error = {"code": 400, "status": "INVALID_ARGUMENT", "message": "There was a problem with the request."}
                return 400, [], json.dumps({"error": error}).encode()
            if "row" in kinds:
                member["compositeData"]["userData"]["userIdentifiers"][0] = {"emailAddress": "jane@example.com"}
            if "count" in kinds:
                member["consent"] = {"adUserData": "CONSENT_DENIED", "adPersonalization": "CONSENT_DENIED"}
        headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
        return super().ask(Request(request.method, request.path, headers, json.dumps(body).encode()))


@pytest.fixture
def picky(twin_url: str) -> Iterator[Picky]:
    relay = Picky(twin_url)
    with relay.running():
        yield relay


@pytest.fixture
def twin(account: Any, picky: Picky) -> DestinationTwin:
    settings = account.raw(base_url=picky.url, ads_url=picky.url, token_url=f"{picky.url}/token")
    wrong = {"type": "access_token", "access_token": "token-of-nobody"}
    return DestinationTwin(
        settings=settings,
        wrong_settings=settings | {"credentials": wrong},
        audiences=lambda: {audience["id"] for audience in account.audiences()},
        members=account.values,
        refuse={"row": picky.by_row, "count": picky.by_count, "request": picky.by_request},
        url=picky.url,
    )
