"""What leaves the connector beside its requests: no value of a person, no credential; and nothing heavy is imported."""

import logging
import subprocess
import sys
from collections.abc import Callable

import pytest
from cdp_bridge.sdk import ConfigError
from cdp_bridge.testing import numbered

from .conftest import Account


def test_logs_hold_no_hash_and_no_token(
    account: Account, batch: numbered.MakeBatch, digest: Callable[[object], str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        writer.write(batch(ref, [1, 2], email={2: ["jane@example.com"]}))
        account.fails("TERMS_AND_CONDITIONS_NOT_SIGNED")
        with pytest.raises(ConfigError):
            writer.write(batch(ref, [3]))
    assert "/v1/audienceMembers:ingest" in caplog.text
    for private in (account.token, "jane@", digest("1@example.com"), digest("3@example.com")):
        assert private not in caplog.text


def test_credentials_go_neither_into_a_log_nor_into_a_url(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    account.configure(refresh_tokens={"1//0g-canary": {"user": account.user, "client_id": "sandbox-client"}})
    credentials = {
        "type": "refresh_token",
        "refresh_token": "1//0g-canary",
        "client_id": "sandbox-client",
        "client_secret": "sandbox-secret",
    }
    with account.open(credentials=credentials) as writer:
        response = writer._client.send("GET", f"/v1/accountTypes/GOOGLE_ADS/accounts/{account.number}/userLists")
    token = response.request.headers["Authorization"].removeprefix("Bearer ")
    assert token.startswith("ya29")
    for private in (token, "canary", "sandbox-secret"):
        assert private not in caplog.text
        assert private not in (response.request.url or "")


def test_announcing_the_connector_imports_nothing_heavy() -> None:
    heavy = "{'requests', 'duckdb', 'pyarrow', 'cryptography', 'google'}"
    code = f"import destination_google, sys; print(*{heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
