"""destination-google under the conformance kit, by both of its APIs, against the strict Google twin."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cdp_bridge.testing import DestinationSuite, DestinationTwin
from cdp_bridge.testing.relay import Headers, Relay, Request
from destination_google import CONNECTOR

from .conftest import Account


class TestDestinationGoogle(DestinationSuite):
    connector = CONNECTOR


class TestDestinationGoogleAds(DestinationSuite):
    connector = CONNECTOR

    @pytest.fixture
    def twin(self, account: Account, twin: DestinationTwin) -> Iterator[DestinationTwin]:
        """Of a job, Google only says that it has failed as a whole."""
        account.configure(legacy_uploads=True)
        settings, wrong = ({**raw, "api": "google-ads"} for raw in (twin.settings, twin.wrong_settings))
        refuse: dict[Any, Any] = {kind: how for kind, how in twin.refuse.items() if kind != "count"}
        yield replace(twin, settings=settings, wrong_settings=wrong, refuse=refuse)
        account.configure(legacy_uploads=False)


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
        if not re.search(r"audienceMembers:|:addOperations", request.path):
            return super().ask(request)
        body = json.loads(request.body)
        for member in body.get("audienceMembers") or body["operations"]:
            kinds = {kind for value, kind in self.refused.items() if value in json.dumps(member)}
            if "request" in kinds:
                error = {"code": 400, "status": "INVALID_ARGUMENT", "message": "There was a problem with the request."}
                return 400, [], json.dumps({"error": error}).encode()
            if "row" in kinds and "create" in member:
                member["create"]["userIdentifiers"][0] = {"hashedEmail": "jane@example.com"}
            elif "row" in kinds:
                member["compositeData"]["userData"]["userIdentifiers"][0] = {"emailAddress": "jane@example.com"}
            if "count" in kinds:
                member["consent"] = {"adUserData": "CONSENT_DENIED", "adPersonalization": "CONSENT_DENIED"}
        headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
        return super().ask(Request(request.method, request.path, headers, json.dumps(body).encode()))


def _counted(account: Any, action: str) -> list[Any]:
    found = [one for one in account.lines("events") if one["conversion_action"] == action]
    return [one for one in found if not one["duplicate"]]


def _event_id(counted: Any) -> str:
    """The kit's orders have the number of their event, and Google knows a purchase by its order."""
    return str(counted["transaction_id"]).removeprefix("order-")


@pytest.fixture
def picky(twin_url: str) -> Iterator[Picky]:
    relay = Picky(twin_url)
    with relay.running():
        yield relay


@pytest.fixture
def twin(account: Account, picky: Picky) -> DestinationTwin:
    action = f"{account.number}1"
    account.configure(conversion_actions={action: {"account": account.number, "name": "Test"}})
    settings = account.raw(base_url=picky.url, ads_url=picky.url, token_url=f"{picky.url}/token")
    settings |= {"conversion_actions": {"purchase": action}}
    wrong = {"type": "access_token", "access_token": "token-of-nobody"}
    return DestinationTwin(
        settings=settings,
        wrong_settings=settings | {"credentials": wrong},
        audiences=lambda: {audience["id"] for audience in account.audiences()},
        members=account.values,
        conversions=lambda: Counter(map(_event_id, _counted(account, action))),
        refuse={"row": picky.by_row, "count": picky.by_count, "request": picky.by_request},
        url=picky.url,
    )
