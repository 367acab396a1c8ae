"""Section 10 of the contract from the other side: the strict twin refuses nothing of all that the connector sends."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest
from cdp_bridge.sdk import Audience, RejectedError
from cdp_bridge.testing import numbered
from cdp_bridge.testing.relay import Headers, Relay, Request
from destination_meta import CONNECTOR, destination
from msgspec import structs
from sandbox.trial import Clock

from .conftest import Account

NAMES = ("VIP", "x" * 50, 'Zoë\'s "best" \N{PARTY POPPER}\n', " ")
WAYS: tuple[dict[str, Any], ...] = (
    {},
    {"app_secret": "sandbox-secret"},
    {"limited_data_use": "california", "retention_days": 180},
    {"limited_data_use": "located", "customer_file_source": "BOTH_USER_AND_PARTNER_PROVIDED"},
)


class Witness(Relay):
    """Notes each request with the twin's answer to it."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.seen: list[tuple[Request, int, Any]] = []

    def ask(self, request: Request) -> tuple[int, Headers, bytes]:
        status, headers, body = super().ask(request)
        self.seen.append((request, status, json.loads(body)))
        return status, headers, body

    def refusals(self) -> list[Any]:
        """What was answered with an error, or held rows that Meta calls invalid (rows 14 and 15)."""
        return [
            answer
            for _, status, answer in self.seen
            if status != 200 or "error" in answer or answer.get("num_invalid_entries")
        ]


@pytest.fixture
def witness(twin_url: str) -> Iterator[Witness]:
    relay = Witness(twin_url)
    with relay.running():
        yield relay


class Work(Protocol):
    """All that the connector can be asked to do."""

    def __call__(self, **way: Any) -> None: ...


@pytest.fixture
def work(
    account: Account, batch: numbered.MakeBatch, digest: Callable[[object], str], clock: Clock, witness: Witness
) -> Work:
    """Function: all that the connector can be asked to do, with names and people of every kind."""

    def everything(**way: Any) -> None:
        account.configure(app={"demand_proof": "app_secret" in way})
        settings = {"base_url": witness.url, **way}
        assert all(probe.passed for probe in destination.check(account.settings(**settings)))
        with account.open(**settings) as writer:
            for number, name in enumerate(NAMES):
                audience = Audience(marker=f"marker {number}", name=name, description="From the CDP")
                for operation in ("add", "remove"):
                    ref = writer.ensure(audience)
                    for people in everybody(batch, ref, operation, digest):
                        writer.write(people)
                    # A session that has grown old is not gone on with (row 20).
                    writer.write(batch(ref, [1], operation, last=False))
                    clock.advance(5_000)
                    writer.write(batch(ref, [2], operation))
                assert account.rows(ref.id) == []
                writer.ensure(structs.replace(audience, ref=ref))

    return everything


def everybody(batch: Any, ref: Any, operation: str, digest: Any) -> Iterator[Any]:
    """Members who lack some ids, have several, or the same twice; and as many as one request takes."""
    columns: dict[str, Any] = {name: {2: [digest(name)]} for name in ("first_name", "gender", "birth_year", "country")}
    columns["email"] = {1: [], 2: [digest("a"), digest("b")], 3: [digest("e")] * 2, 4: []}
    columns["phone"] = {1: [digest("p")], 2: [digest("q"), digest("r"), digest("s")]}
    columns["mobile_ad_id"] = {4: ["aebe52e7-03ee-455a-b3c4-e57283966239"]}
    columns["external_id"] = {2: ["CRM-0042"]}
    yield batch(ref, range(6), operation, last=False, total=9, **columns)
    yield batch(ref, [7, 8], operation, number=2, total=9)
    yield batch(ref, [1], operation, email={1: []})
    yield batch(ref, range(CONNECTOR.limits.rows), operation)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_refused(work: Work, account: Account, witness: Witness, way: Any) -> None:
    work(**way)
    assert witness.refusals() == []
    assert len(account.audiences()) == len(NAMES)


def test_refusals_would_be_noticed(account: Account, batch: numbered.MakeBatch, witness: Witness) -> None:
    with account.open(base_url=witness.url) as writer:
        ref = writer.ensure(account.audience())
        assert witness.refusals() == []
        writer.write(batch(ref, [1], email={1: ["jane@example.com"]}))
        assert len(witness.refusals()) == 1
        account.fails(100)
        with pytest.raises(RejectedError):
            writer.write(batch(ref, [1]))
    assert len(witness.refusals()) == 2


def test_addresses_hold_no_hash_and_no_token(
    work: Work, account: Account, digest: Callable[[object], str], witness: Witness
) -> None:
    work(app_secret="sandbox-secret")
    journal = str(account.control("GET", "requests")["requests"][-len(witness.seen) :])
    addresses = " ".join(request.path for request, *_ in witness.seen)
    bodies = b" ".join(request.body for request, *_ in witness.seen).decode()
    digests = [digest("a"), digest("q"), digest("7@example.com")]
    for private in (account.token, "sandbox-secret", "CRM-0042", *digests):
        assert private not in addresses + journal
    assert all(one in bodies for one in digests)
    assert not any(credential in bodies for credential in (account.token, "sandbox-secret"))
    assert {request.headers["Authorization"] for request, *_ in witness.seen} == {f"Bearer {account.token}"}
