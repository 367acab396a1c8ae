"""Section 14 of the contract from the other side: the strict twin refuses nothing of all that the connector sends."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cdp_bridge.sdk import RejectedError
from cdp_bridge.testing import numbered
from cdp_bridge.testing.relay import Headers, Relay, Request
from destination_google import CONNECTOR, destination

from .conftest import Account

NAMES = ("VIP", "x" * 300, 'Zoë\'s "best" \N{PARTY POPPER}\n', " ")
WAYS: tuple[dict[str, Any], ...] = (
    {},
    {"ad_user_data": None, "ad_personalization": None, "membership_days": 1},
    {"quota_project": "acme-ads", "test_mode": True},
    {"api": "google-ads"},
    {"api": "google-ads", "ad_user_data": None, "ad_personalization": None},
)


class Witness(Relay):
    """Notes each request with the twin's status for it."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.seen: list[tuple[Request, int]] = []

    def ask(self, request: Request) -> tuple[int, Headers, bytes]:
        status, headers, body = super().ask(request)
        self.seen.append((request, status))
        return status, headers, body

    def statuses(self) -> set[int]:
        return {status for _, status in self.seen}

    def bodies(self, path: str) -> list[Any]:
        """The JSON bodies that went to a path."""
        return [json.loads(request.body) for request, _ in self.seen if path in request.path and request.body]


@pytest.fixture
def witness(twin_url: str, account: Account) -> Iterator[Witness]:
    account.configure(legacy_uploads=True)
    relay = Witness(twin_url)
    with relay.running():
        yield relay
    account.configure(legacy_uploads=False)


def work(account: Any, batch: Any, digest: Any, **settings: Any) -> None:
    """All that the connector can be asked to do, with names and people of every kind."""
    assert all(probe.passed for probe in destination.check(account.settings(**settings)))
    destination.inventory(account.settings(**settings))
    with account.open(**settings) as writer:
        for name in NAMES:
            audience = account.audience(f"marker of {name}", name=name, description="From the CDP")
            ref = writer.ensure(audience)
            for operation in ("add", "remove"):
                for people in everybody(batch, ref, operation, digest):
                    outcome = writer.write(people)
                    while outcome.pending:
                        outcome = writer.settle(ref, outcome.pending)
                ref = writer.ensure(account.audience(f"marker of {name}", name=name, ref=ref))
            assert account.rows(ref.id) == []


def everybody(batch: Any, ref: Any, operation: str, digest: Any) -> Iterator[Any]:
    """Members who lack some ids, have many, the same twice, or bad ones; and as many as one request takes."""
    names = {name: {1: [digest("ann"), digest("anna")], 2: [digest("bob")]} for name in ("first_name", "last_name")}
    home = {"country": {1: ["PT"], 2: ["US", "us"]}, "postal_code": {1: ["1229-076"], 2: ["94045"], 3: ["12345"]}}
    emails = {1: [], 2: [digest(n) for n in range(30)], 3: [digest("e")] * 2, 4: [], 5: ["jane@example.com"]}
    yield batch(ref, range(7), operation, email=emails, phone={1: [], 2: [digest("q")], 4: []}, **names, **home)
    yield batch(ref, [1], operation, email={1: []}, **names, **home)
    yield batch(ref, [1], operation, email={1: []})
    yield batch(ref, range(CONNECTOR.limits.rows), operation)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_refused(
    account: Account, batch: numbered.MakeBatch, digest: Callable[[object], str], witness: Witness, way: Any
) -> None:
    work(account, batch, digest, base_url=witness.url, ads_url=witness.url, **way)
    assert witness.statuses() == {200}
    assert len(account.audiences()) == len(NAMES)


def test_refusals_would_be_noticed(account: Account, batch: numbered.MakeBatch, witness: Witness) -> None:
    with account.open(base_url=witness.url) as writer:
        ref = writer.ensure(account.audience())
        with pytest.raises(RejectedError, match="INVALID_REQUEST_ID"):
            writer.settle(ref, "t-1")
    assert witness.statuses() == {200, 400}


@pytest.mark.parametrize("way", [way for way in WAYS if "api" not in way])
def test_what_the_twin_would_forgive(
    account: Account, batch: numbered.MakeBatch, digest: Callable[[object], str], witness: Witness, way: Any
) -> None:
    work(account, batch, digest, base_url=witness.url, ads_url=witness.url, **way)
    for request, _ in witness.seen:
        assert request.headers["Authorization"] == f"Bearer {account.token}"
        assert not {"login-customer-id", "developer-token"} & {name.lower() for name in request.headers}
        assert account.token not in request.path
    for body in witness.bodies(":ingest") + witness.bodies(":remove"):
        assert body["encoding"] == "HEX"
        assert len({*map(tuple, body["audienceMembers"])}) == 1, "one kind of data in a request"
        assert not [value for value in _texts(body["audienceMembers"]) if value != value.lower() and len(value) > 2]
    assert len(witness.bodies(":ingest")) == len(witness.bodies(":remove")) == 3 * len(NAMES)
    names = [body["displayName"] for body in witness.bodies("/userLists") if "integrationCode" in body]
    assert len(set(names)) == len(names) == len(NAMES)
    assert max(map(len, names)) == 255


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
