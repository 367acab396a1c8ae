"""Section 11 of the contract from the other side: the strict twin refuses nothing of all that the connector sends."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cdp_bridge.testing import numbered
from cdp_bridge.testing.relay import Headers, Relay, Request
from destination_tiktok import CONNECTOR, destination

from .conftest import Account

WAYS = ("streaming", "file")
NAMES = ("VIP", "x" * 200, 'Zoë\'s "best" \N{PARTY POPPER}\n', " ", "[cdp-bridge:vip]")
REPLACE = "without an action, or with this one, a file replaces everybody"


class Witness(Relay):
    """Notes each request with the twin's code for it; a status other than 200 counts as a code."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.seen: list[tuple[Request, int]] = []

    def ask(self, request: Request) -> tuple[int, Headers, bytes]:
        status, headers, body = super().ask(request)
        self.seen.append((request, json.loads(body)["code"] if status == 200 else status))
        return status, headers, body

    def codes(self) -> set[int]:
        return {code for _, code in self.seen}

    def bodies(self, endpoint: str) -> list[Any]:
        """The JSON bodies that went to an endpoint."""
        return [json.loads(request.body) for request, _ in self.seen if request.path.endswith(endpoint)]


@pytest.fixture
def witness(twin_url: str, account: Account) -> Iterator[Witness]:
    """Before a twin that takes as little as the connector promises to send (rows 20 and 24)."""
    limits = CONNECTOR.limits
    account.configure(max_rows=limits.rows, max_bytes=limits.bytes, max_audiences=len(NAMES), floor=0)
    relay = Witness(twin_url)
    with relay.running():
        yield relay
    account.configure(max_bytes=10_000_000, max_audiences=400)


def work(account: Any, batch: Any, digest: Any, url: str, upload: str) -> None:
    """All that the connector can be asked to do, with names and people of every kind."""
    assert all(probe.passed for probe in destination.check(account.settings(base_url=url, upload=upload)))
    with account.open(base_url=url, upload=upload) as writer:
        for name in NAMES:
            audience = account.audience(f"marker of {name}", name=name)
            for operation in ("add", "remove"):
                ref = writer.ensure(audience)
                for people in everybody(batch, ref, operation, digest):
                    outcome = writer.write(people)
                    account.advance(3_600)
                    while outcome.pending:
                        outcome = writer.settle(ref, outcome.pending)
                ref = writer.ensure(account.audience(f"marker of {name}", name=name, ref=ref))
            assert account.rows(ref.id) == []


def everybody(batch: Any, ref: Any, operation: str, digest: Any) -> Iterator[Any]:
    """Members who lack some ids, have several, or the same twice; and as many as one request takes."""
    yield batch(
        ref,
        range(6),
        operation,
        email={1: [], 2: [digest("a"), digest("b"), digest("c"), digest("d")], 3: [digest("e")] * 2, 4: []},
        phone={1: [digest("p")], 2: [digest("q")], 3: [], 4: []},
        mobile_ad_id={2: [digest("m"), digest("n")], 4: [digest("o")]},
    )
    yield batch(ref, [1], operation, email={1: []}, mobile_ad_id={1: [digest("only")]})
    yield batch(ref, [1], operation, email={1: []})
    yield batch(ref, range(CONNECTOR.limits.rows), operation)


@pytest.mark.parametrize("upload", WAYS)
def test_nothing_is_refused(
    account: Account, batch: numbered.MakeBatch, digest: Callable[[object], str], witness: Witness, upload: str
) -> None:
    work(account, batch, digest, witness.url, upload)
    assert witness.codes() == {0}
    assert len(account.audiences()) == len(NAMES)


def test_refusals_would_be_noticed(account: Account, batch: numbered.MakeBatch, witness: Witness) -> None:
    with account.open(base_url=witness.url) as writer:
        ref = writer.ensure(account.audience())
        with pytest.raises(Exception, match="40062"):
            writer.write(batch(ref, [1], email={1: ["jane@example.com"]}))
    assert witness.codes() == {0, 40062}


@pytest.mark.parametrize("upload", WAYS)
def test_what_the_twin_would_forgive(
    account: Account, batch: numbered.MakeBatch, digest: Callable[[object], str], witness: Witness, upload: str
) -> None:
    work(account, batch, digest, witness.url, upload)
    for request, _ in witness.seen:
        assert request.headers["Access-Token"] == account.token
        assert "Authorization" not in request.headers
        assert "page_size=10&" not in f"{request.path}&"
    created = witness.bodies("/segment/audience/") + witness.bodies("/custom_audience/create/")
    # A name of more than 70 characters would be cut, and with it the marker.
    assert all(re.search(r" \[cdp-bridge:[0-9a-f]{20}\]$", body["custom_audience_name"]) for body in created)
    assert max(len(body["custom_audience_name"]) for body in created) == 70
    assert len({body["custom_audience_name"] for body in created}) == len(NAMES)
    assert {body.get("action") for body in witness.bodies("/custom_audience/update/")} <= {"APPEND", "REMOVE"}, REPLACE
    assert {body.get("action") for body in witness.bodies("/segment/mapping/")} <= {"add", "delete"}
    changes = witness.bodies("/segment/mapping/" if upload == "streaming" else "/custom_audience/update/")
    assert len(changes) >= 2 * len(NAMES)
