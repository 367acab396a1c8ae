"""What somebody can do with an API key that they should not have any more, or that may too little."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cdp_bridge.errors import ConfigError
from cdp_bridge.server.first_key import first_key
from cdp_bridge.store import Store

from .conftest import Target


def test_a_revoked_key_follows_nothing_any_more(target: Target) -> None:
    run = target.store.requests.add("vip", "test").id
    key = next(key for key in target.store.api_keys.all() if key.name == "viewer")
    headers = {"Authorization": f"Bearer {target.keys['viewer']}"}
    with requests.get(f"{target.url}/v1/runs/{run}/events", headers=headers, stream=True) as stream:
        lines = stream.iter_lines(decode_unicode=True)
        assert "queued" in next(line for line in lines if line.startswith("data:"))
        target.call("DELETE", f"/v1/api-keys/{key.id}").raise_for_status()
        target.store.notes.add(run, text="later")
        rest = list(lines)
    assert "event: end" not in rest, "the run goes on, but not for this key"


def test_an_administrator_gives_no_right_that_they_lack(target: Target) -> None:
    wanted = {"name": "eve", "role": "admin", "sees_hashes": True}
    refused = target.call("POST", "/v1/api-keys", wanted)
    assert refused.status_code == 403
    assert [key.name for key in target.store.api_keys.all()] == ["viewer", "operator", "admin"]
    target.keys["seer"] = target.store.api_keys.create("seer", "admin", sees_hashes=True)[1]
    assert target.call("POST", "/v1/api-keys", wanted, role="seer").status_code == 201


def test_a_key_is_shown_once_and_expires_unless_asked_otherwise(target: Target) -> None:
    headers = {"Authorization": f"Bearer {target.keys['admin']}", "Idempotency-Key": "twice"}
    made = [requests.post(f"{target.url}/v1/api-keys", json={"name": "me"}, headers=headers).json() for _ in range(2)]
    assert made[0]["text"] != made[1]["text"], "no answer with a key is kept for a repeat"
    end = datetime.fromisoformat(made[0]["key"]["expires_at"])
    assert timedelta(days=89) < end - datetime.now(UTC) <= timedelta(days=90)
    listed = target.call("GET", "/v1/api-keys").text
    assert made[0]["key"]["id"] in listed
    assert made[0]["text"] not in listed + target.call("GET", "/v1/audit").text


def test_the_first_key_is_in_a_file_of_its_user_and_makes_one_key(target: Target, tmp_path: Path) -> None:
    for key in target.store.api_keys.all():
        target.store.api_keys.revoke(key.id)
    file = tmp_path / "first"
    with first_key(target.store, file) as is_new:
        assert is_new
        assert file.stat().st_mode & 0o777 == 0o600
        target.keys["first"] = file.read_text()
        made = target.call("POST", "/v1/api-keys", {"name": "me", "role": "admin"}, role="first").json()
        again = target.call("POST", "/v1/api-keys", {"name": "other", "role": "admin"}, role="first")
        assert again.status_code == 401
        assert target.store.api_keys.find(made["text"])
    assert not file.exists()
    with first_key(target.store, file) as is_new:
        assert not is_new


def test_many_at_once_make_one_key_with_the_first(target: Target, tmp_path: Path) -> None:
    for key in target.store.api_keys.all():
        target.store.api_keys.revoke(key.id)
    with first_key(target.store, tmp_path / "first"):
        target.keys["first"] = (tmp_path / "first").read_text()
        statuses: list[int] = []

        def make() -> None:
            statuses.append(
                target.call("POST", "/v1/api-keys", {"name": "me", "role": "admin"}, role="first").status_code
            )

        threads = [threading.Thread(target=make) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses.count(201) == 1


def test_the_first_key_expires_in_minutes(tmp_path: Path) -> None:
    now = [datetime(2026, 3, 1, tzinfo=UTC).timestamp()]
    with (
        Store.open(f"sqlite:///{tmp_path}/store.db", clock=lambda: now[0]) as store,
        first_key(store, tmp_path / "key"),
    ):
        text = (tmp_path / "key").read_text()
        assert store.api_keys.find(text)
        now[0] += 601
        assert store.api_keys.find(text) is None


def test_no_link_leads_the_first_key_elsewhere(store: Store, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "public")
    with first_key(store, tmp_path / "link"):
        assert not (tmp_path / "public").exists()
    for key in store.api_keys.all():
        store.api_keys.revoke(key.id)
    with pytest.raises(ConfigError, match="--first-key-file"), first_key(store, tmp_path / "none" / "key"):
        pass
