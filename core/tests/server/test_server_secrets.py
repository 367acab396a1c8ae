"""Secrets in bodies go into the store encrypted; nothing else ever holds more than references."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from cdp_bridge.entities import DestinationAccount
from cdp_bridge.secrets import Secret
from cdp_bridge.store import tables
from cdp_bridge.store.secrets.keyring import VARIABLE
from cdp_bridge.testing.configuring import configure
from msgspec.structs import replace

from .conftest import BRIDGE, Api

CANARY, OTHER = "canary-of-the-first-token", "canary-of-the-second-token"
KINDS = [
    ("connections", "connection", "api_credentials", {"name": "second", "cdp_provider": "source-shop"}),
    ("destinations", "destination", "settings", {"name": "second", "connector": "destination-shop"}),
]


@pytest.fixture(autouse=True)
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A keyring beside no database, as with PostgreSQL."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "keyring"))
    return tmp_path / "keyring"


@pytest.fixture
def api(each_api: Api) -> Iterator[Api]:
    """The server on each database, without secrets before and after."""
    _forget_all(each_api)
    yield each_api
    _forget_all(each_api)


def _forget_all(api: Api) -> None:
    with api.store._database.writing() as connection:
        connection.execute(sa.delete(tables.secret))


def names(api: Api) -> set[str]:
    with api.store._database.reading() as connection:
        return set(connection.execute(sa.select(tables.secret.c.name)).scalars())


def everything(api: Api) -> bytes:
    """All rows of all tables, in clear."""
    with api.store._database.reading() as connection:
        tables_of = tables.metadata.sorted_tables
        rows = [tuple(row) for table in tables_of for row in connection.execute(sa.select(table))]
    return repr(rows).encode()


@pytest.mark.parametrize(("what", "kind", "field", "entry"), KINDS)
def test_a_secret_comes_back_as_a_reference_and_goes_with_its_account(
    api: Api, what: str, kind: str, field: str, entry: dict[str, Any]
) -> None:
    made = api.call("POST", f"/v1/{what}", entry | {field: {"token": f"{CANARY}\n", "account": "7"}})
    assert made.status_code == 201, made.text
    reference = made.json()[field]["token"]
    assert reference.startswith(f"store:{kind}.second.")
    assert api.get(f"/v1/{what}/second")[field] == {"token": reference, "account": "7"}
    address, tag = f"/v1/{what}/second", made.headers["ETag"]
    kept = api.call("PUT", address, made.json() | {field: {"token": reference, "account": "8"}}, if_match=tag)
    assert (kept.status_code, kept.json()[field]["token"]) == (200, reference)
    assert api.store.secrets.secret(reference.partition(":")[2]).reveal() == CANARY
    changed = api.call("PUT", address, kept.json() | {field: {"token": OTHER}}, if_match=kept.headers["ETag"])
    assert names(api) == {changed.json()[field]["token"].removeprefix("store:")}
    assert api.call("DELETE", address, if_match=changed.headers["ETag"]).status_code == 204
    assert names(api) == set()


def test_a_connector_gets_the_secret_itself(api: Api) -> None:
    api.call("POST", "/v1/connections", KINDS[0][3] | {"api_credentials": {"token": CANARY}})
    assert api.call("POST", "/v1/connections/second/check").json()["passed"]
    assert api.cdp.tokens[-1] == CANARY
    api.call("DELETE", "/v1/connections/second", if_match="*")


def test_nothing_else_holds_a_secret(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    body = KINDS[1][3] | {"settings": {"token": CANARY}}
    answers = [
        api.call("POST", "/v1/destinations", body, idempotency_key="canary"),
        api.call("POST", "/v1/destinations", body, idempotency_key="canary"),
        api.call("POST", "/v1/destinations", body),
        api.call("PUT", "/v1/destinations/second", body | {"settings": {"token": OTHER, "no": CANARY}}, if_match="*"),
        api.call("PUT", "/v1/destinations/other", body | {"settings": {"token": OTHER}}, if_match="*"),
        api.call("GET", "/v1/audit"),
    ]
    assert [one.status_code for one in answers] == [201, 201, 409, 422, 422, 200]
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    said = "".join(one.text for one in answers) + caplog.text + everything(api).decode()
    assert CANARY not in said
    assert OTHER not in said
    assert len(names(api)) == 1
    api.call("DELETE", "/v1/destinations/second", if_match="*")


def test_who_has_the_database_only_cannot_try_out_guesses(api: Api, keyring: Path) -> None:
    body = KINDS[1][3] | {"settings": {"token": "1234"}}
    made = api.call("POST", "/v1/destinations", body, idempotency_key="guess")
    assert keyring.exists()
    address = hashlib.sha256(b"POST /v1/destinations?").digest()
    sent = made.request.body
    assert isinstance(sent, bytes)
    with api.store._database.reading() as connection:
        keys = connection.execute(sa.select(tables.secret_key.c.value)).scalars().all()
        kept = connection.execute(
            sa.select(tables.answer.c.request).where(tables.answer.c.idempotency_key == "guess")
        ).scalar_one()
    guesses = [hmac.digest(key, address + sent, "sha256") for key in [*keys, b""]]
    assert len(kept) == 32
    assert kept not in [*guesses, hashlib.sha256(address + sent).digest()]
    assert kept == api.store.secrets.digest(address + sent)
    api.call("DELETE", "/v1/destinations/second", if_match="*")


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ("env:HOME", "refers to this machine, which only bridge.yaml may do"),
        ("file:/etc/passwd", "refers to this machine, which only bridge.yaml may do"),
        ("", "is empty"),
        (" \n", "is empty"),
    ],
)
@pytest.mark.parametrize("what", [0, 1])
def test_what_would_read_this_machine_is_refused(api: Api, what: int, token: str, problem: str) -> None:
    path, _, field, entry = KINDS[what]
    answer = api.call("POST", f"/v1/{path}", entry | {field: {"token": token}})
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert (fault["place"], fault["problem"]) == (f"{field}.token", problem)
    assert fault["remedy"]
    assert names(api) == set()


def test_a_reference_that_bridge_yaml_has_set_may_stay(api: Api) -> None:
    (ads,) = BRIDGE.destinations
    configure(api.store, replace(BRIDGE, destinations=(replace(ads, settings={"token": "env:ADS"}),)))
    changed = msgspec.to_builtins(ads) | {"settings": {"token": "env:ADS", "account": "2"}}
    assert api.call("PUT", "/v1/destinations/ads", changed, if_match="*").status_code == 200
    other = changed | {"settings": {"token": "env:HOME"}}
    assert api.call("PUT", "/v1/destinations/ads", other, if_match="*").status_code == 422


def test_without_a_keyring_no_secret_is_taken(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/not/there/keyring")
    body = KINDS[0][3] | {"api_credentials": {"token": CANARY}}
    answer = api.call("POST", "/v1/connections", body, idempotency_key="none")
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["problem"].startswith("the keyring cannot be written")
    assert "its folder exists" in fault["remedy"]
    assert api.call("GET", "/v1/connections/second").status_code == 404
    without: dict[str, Any] = KINDS[0][3] | {"api_credentials": {}}
    assert api.call("POST", "/v1/connections", without, idempotency_key="none").status_code == 201
    api.call("DELETE", "/v1/connections/second", if_match="*")


def test_what_was_granted_is_forgotten_with_the_last_account_that_uses_it(api: Api) -> None:
    entry = KINDS[1][3]
    accounts = tuple(
        DestinationAccount(name=name, connector="destination-shop", settings={"token": "oauth:club"})
        for name in ("second", "third")
    )
    configure(api.store, replace(BRIDGE, destinations=(*BRIDGE.destinations, *accounts)))
    api.store.secrets.put("oauth:club", Secret("{}"))
    api.call("DELETE", "/v1/destinations/second", if_match="*")
    assert names(api) == {"oauth:club"}
    api.call("PUT", "/v1/destinations/third", entry | {"name": "third"}, if_match="*")
    assert names(api) == set()
    api.call("DELETE", "/v1/destinations/third", if_match="*")
