"""`keys rotate` and `prune`: what the store keeps, under which key, and for how long."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cdp_bridge.entities import SyncLog
from cdp_bridge.secrets import Secret
from cdp_bridge.store import Store

from .conftest import Cli

CANARY = "canary-secret-0123456789"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'bridge.db'}"


def test_keys_rotate_makes_a_key_and_forgets_the_old_ones_if_asked(cli: Cli, url: str, tmp_path: Path) -> None:
    keyring = tmp_path / "bridge.db.keyring"
    with Store.open(url) as store:
        store.secrets.put("token", Secret(CANARY))
    first = keyring.read_text()
    rotated = cli("keys", "rotate")
    assert (rotated.code, rotated.err, rotated.out) == (0, "", "Secrets encrypted under a new key: 1\n")
    assert keyring.read_text().startswith(first)
    rotated = cli("keys", "rotate", "--drop-old")
    assert (rotated.code, rotated.out.splitlines()[-1]) == (0, "Old keys deleted: 2")
    assert len(keyring.read_text().splitlines()) == 1
    with Store.open(url) as store:
        found = store.secrets.get("token")
    assert found is not None
    assert found.reveal() == CANARY


def test_keys_rotate_without_its_keyring_says_what_to_do(cli: Cli, url: str, tmp_path: Path) -> None:
    with Store.open(url) as store:
        store.secrets.put("token", Secret(CANARY))
    (tmp_path / "bridge.db.keyring").unlink()
    answer = cli("keys", "rotate")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("error: ")
    assert "bridge.db.keyring: the keyring is missing" in answer.err
    assert "Restore it from a backup" in answer.err


def test_prune_deletes_what_is_older_than_its_days(cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    with Store.open(url) as store, store.transaction() as change:
        for days in (50, 10, 0):
            change.save_run(SyncLog(run_id=f"r{days}", audience="vip", sync_timestamp=now - timedelta(days=days)))
    nothing = {"match_estimates": 0, "requests": 0, "dead_letters": 0, "audit": 0, "secrets": 0, "conversions": 0}
    assert cli("prune", "--json").json == {"runs": 0, **nothing}
    assert cli("prune", "--keep-runs", "40", "--json").json == {"runs": 1, **nothing}
    monkeypatch.setenv("CDP_BRIDGE_KEEP_RUNS", "5")
    assert cli("prune", "--json").json == {"runs": 1, **nothing}
    assert cli("prune").code == 0
    wrong = cli("prune", "--keep-audit", "0")
    assert wrong.code == 2
    assert "--keep-audit" in wrong.err
