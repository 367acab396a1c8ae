"""What leaves the connector beside its requests: no value of a person, no credential; and nothing heavy is imported."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from cdp_bridge.sdk import ConfigError
from cdp_bridge.testing import numbered
from cdp_bridge.testing.relay import Relay

from .conftest import Account

WAYS = ("streaming", "file")


@pytest.fixture
def relay(twin_url: str) -> Iterator[Relay]:
    relay = Relay(twin_url)
    with relay.running():
        yield relay


def work(account: Any, batch: Any, upload: str, **changes: Any) -> None:
    """Add people, take some out, and be refused at last."""
    account.configure(floor=0)
    with account.open(upload=upload, **changes) as writer:
        ref = writer.ensure(account.audience())
        writer.write(batch(ref, [1, 2]))
        account.advance(3_600)
        ref = writer.ensure(account.audience())
        writer.write(batch(ref, [1], "remove"))
        account.fails(40105, "/mapping/|/upload/")
        with pytest.raises(ConfigError):
            writer.write(batch(ref, [3]))


def digests() -> list[str]:
    return [numbered.digest(f"{n}@example.com") for n in (1, 2, 3)]


@pytest.mark.parametrize("upload", WAYS)
def test_logs_hold_no_hash_and_no_token(
    account: Account, batch: numbered.MakeBatch, caplog: pytest.LogCaptureFixture, upload: str
) -> None:
    caplog.set_level(logging.DEBUG)
    work(account, batch, upload)
    assert ("/segment/mapping/" if upload == "streaming" else "/file/upload/") in caplog.text
    for private in (account.token, "jane@", *digests()):
        assert private not in caplog.text


@pytest.mark.parametrize("upload", WAYS)
def test_addresses_hold_no_hash_and_no_token(
    account: Account, batch: numbered.MakeBatch, relay: Relay, upload: str
) -> None:
    work(account, batch, upload, base_url=relay.url)
    addresses = " ".join(request.path for request in relay.requests)
    journal = str(account.control("GET", "requests")["requests"][-len(relay.requests) :])
    bodies = b" ".join(request.body for request in relay.requests).decode()
    for private in (account.token, *digests()):
        assert private not in addresses + journal
    assert all(digest in bodies for digest in digests())
    assert account.token not in bodies
    assert {request.headers["Access-Token"] for request in relay.requests} == {account.token}


def test_announcing_the_connector_imports_no_http_client() -> None:
    code = "import destination_tiktok, sys; print(*{'requests', 'duckdb', 'pyarrow'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
