"""`cdp-bridge keys`, and what a key is worth."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cdp_bridge.cli import main
from cdp_bridge.errors import ConfigError
from cdp_bridge.store import Store


@pytest.fixture
def keys(sqlite_url: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run `cdp-bridge keys`, and give what it printed."""

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["keys", *arguments, "--store", sqlite_url])
        printed = capsys.readouterr()
        assert ended.value.code == 0, printed.err
        return printed.out

    return run


def test_a_key_is_shown_once_and_kept_as_a_digest(keys: Callable[..., str], sqlite_url: str) -> None:
    text = keys("create", "dashboard", "--role", "operator", "--sees-hashes").strip()
    with Store.open(sqlite_url) as store:
        found = store.api_keys.find(text)
        assert found
        assert (found.name, found.role, found.sees_hashes) == ("dashboard", "operator", True)
        assert store.api_keys.find(text[:-1]) is None
    assert text not in keys("list", "--json")
    for file in Path(sqlite_url.removeprefix("sqlite:///")).parent.iterdir():
        assert text.encode() not in file.read_bytes()


def test_a_revoked_key_lets_nobody_in(keys: Callable[..., str], sqlite_url: str) -> None:
    made = json.loads(keys("create", "old", "--json"))
    keys("revoke", made["id"])
    with Store.open(sqlite_url) as store:
        assert store.api_keys.find(made["key"]) is None
        with pytest.raises(ConfigError, match="no key of that id in use"):
            store.api_keys.revoke(made["id"])
        assert [entry.action for entry in store.audit.listed()] == ["revoke", "create"]


def test_a_key_expires(store_url: str) -> None:
    now = [datetime(2026, 3, 1, tzinfo=UTC).timestamp()]
    with Store.open(store_url, clock=lambda: now[0]) as store:
        _, text = store.api_keys.create("short", "viewer", life=timedelta(days=1))
        assert store.api_keys.find(text)
        now[0] += 86_400
        assert store.api_keys.find(text) is None


def test_a_key_that_expires_soon_is_warned_of(store_url: str) -> None:
    with Store.open(store_url) as store:
        for name, days in (("far", 15), ("near", 13), ("revoked", 13)):
            made, _ = store.api_keys.create(name, "viewer", life=timedelta(days=days))
            if name == "revoked":
                store.api_keys.revoke(made.id)
        store.api_keys.create("for ever", "viewer")
        assert [key.name for key in store.api_keys.expiring()] == ["near"]


def test_keys_have_128_random_bits(sqlite_url: str) -> None:
    with Store.open(sqlite_url) as store:
        texts = {store.api_keys.create(str(number), "viewer")[1] for number in range(20)}
    assert len(texts) == 20
    assert {len(text.removeprefix("cdpb_")) for text in texts} == {22}
