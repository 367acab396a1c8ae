"""Secrets in settings go into the store, references to them into the settings."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cdp_bridge import settings
from cdp_bridge.errors import BridgeError, ConfigError, TransientError
from cdp_bridge.secrets import Resolver, Secret, is_reference
from cdp_bridge.store import Store, tables
from cdp_bridge.store.secrets.keyring import VARIABLE
from cdp_bridge.store.secrets.settings_secrets import moved_secrets
from msgspec import Struct


class Warehouse(Struct):
    url: Secret
    table: str = "people"


class Settings(Struct):
    token: Secret
    region: str = "eu"
    warehouse: Warehouse | None = None


SCHEMA = settings.schema(Settings)
OWNER = "connection.segment"


@pytest.fixture(autouse=True)
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "keyring"))


def names(store: Store) -> set[str]:
    with store._database.reading() as connection:
        return set(connection.execute(sa.select(tables.secret.c.name)).scalars())


def save(store: Store, raw: dict[str, Any]) -> dict[str, Any]:
    with moved_secrets(store.secrets, OWNER, SCHEMA, raw, is_reference) as references:
        return references


def test_secrets_become_references_and_all_else_stays(store: Store) -> None:
    raw = {"token": "hush-hush", "region": "us", "warehouse": {"url": "the//url", "table": "t"}}
    saved = save(store, raw)
    assert raw["token"] == "hush-hush"
    assert saved["token"].startswith("store:connection.segment.")
    assert (saved["region"], saved["warehouse"]["table"]) == ("us", "t")
    loaded = settings.load(Settings, saved, Resolver(stored=store.secrets.secret))
    assert loaded.warehouse is not None
    assert (loaded.token.reveal(), loaded.warehouse.url.reveal()) == ("hush-hush", "the//url")


def test_references_stay_as_they_are(store: Store) -> None:
    raw = {"token": "env:TOKEN", "warehouse": {"url": "store:of-somebody"}}
    assert save(store, raw) == raw
    assert names(store) == set()


@pytest.mark.parametrize(
    ("error", "count"), [(ConfigError("refused"), 1), (TransientError("saved or not, who knows"), 2)]
)
def test_secrets_of_settings_that_were_not_saved_are_deleted(store: Store, error: BridgeError, count: int) -> None:
    first = save(store, {"token": "one"})
    with (
        pytest.raises(type(error)),
        moved_secrets(store.secrets, OWNER, SCHEMA, {"token": "two"}, is_reference),
    ):
        raise error
    assert first["token"][6:] in names(store)
    assert len(names(store)) == count
