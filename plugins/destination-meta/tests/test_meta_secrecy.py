"""What leaves the connector beside its requests: no value of a person, no credential; and nothing heavy is imported."""

import logging
import subprocess
import sys
from collections.abc import Callable

import pytest
from cdp_bridge.sdk import ConfigError, Secret
from cdp_bridge.testing import numbered
from destination_meta.api import proof

from .conftest import Account


def test_logs_hold_no_hash_and_no_token(
    account: Account, batch: numbered.MakeBatch, digest: Callable[[object], str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        writer.write(batch(ref, [1, 2], email={2: ["jane@example.com"]}))
        account.fails(190, 460)
        with pytest.raises(ConfigError):
            writer.write(batch(ref, [3]))
    assert "/users" in caplog.text
    for private in (account.token, "jane@", digest("1@example.com"), digest("3@example.com")):
        assert private not in caplog.text


def test_urls_hold_no_token(account: Account, batch: numbered.MakeBatch) -> None:
    with account.open(app_secret="sandbox-secret") as writer:
        response = writer._client.send("GET", f"/act_{account.number}")
    assert account.token not in (response.request.url or "")


def test_proof_vector_of_the_contract() -> None:
    wanted = "f0c099f5e1c2eaf7ec38d2ecff522ea9fe584937e6f681b12734af2b1fe25e2c"
    assert proof(Secret("secret"), "tok").reveal() == wanted


def test_announcing_the_connector_imports_no_http_client() -> None:
    code = "import destination_meta, sys; print(*{'requests', 'duckdb', 'pyarrow'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
