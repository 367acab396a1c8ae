"""Credentials that do not fit and warehouses that are none: the setting is named and never its value, the audience
stays as it is, and the next run with the right ones makes both sides equal.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from tests.postgres import Postgres

NAME, SEGMENT = "meta-everyone", "everyone"
NO_ACCESS = {
    ("SEGMENT_TOKEN", "hunter2-hunter2"): r"public_api_token: the Public API does not .*401.* Use a Public API token",
    ("SEGMENT_TOKEN", ""): r"public_api_token: the secret env:SEGMENT_TOKEN is empty\. Put the secret there",
    ("SEGMENT_WAREHOUSE", "snowflake://u:hunter2hunter2@a/b"): r"warehouse\.url: cannot connect: .* its driver is inst",
    ("SEGMENT_WAREHOUSE", "postgresql://u:hunter2hunter2@127.0.0.1:1/b"): r"warehouse\.url: cannot connect: .*\. Check",
    ("SEGMENT_WAREHOUSE", "duckdb:////no/such/file"): r"warehouse\.url: there is no such file, .* An absolute path has",
}
TABLES = ("user_traits", "user_identifiers", "profile_merges")
NO_TABLES = {
    "CREATE TABLE x AS SELECT 1 AS y": r"warehouse table prod\.user_traits: cannot be read: .* Select this table",
    "ALTER TABLE prod.user_traits DROP seq": r"warehouse table prod\.user_traits: .* \(needed columns: .*seq",
    "SELECT 1": r"warehouse schema prod: the tables are empty\. Wait for the backfill of Profiles Sync",
    "INSERT INTO prod.user_traits BY NAME SELECT 'a' AS canonical_segment_id, 'b' AS name, now() AS received_at": (
        r"warehouse\.schema: no profile in the warehouse has the trait everyone"
    ),
}


@pytest.fixture(scope="module")
def synced(judge: Any) -> Any:
    """A sandbox whose audience is equal on both sides."""
    assert judge.harness.bridge("sync", "--all").code == 0
    assert judge.members(NAME) == judge.eligible(SEGMENT)
    return judge


@pytest.mark.parametrize(("given", "words"), NO_ACCESS.items(), ids=range(len(NO_ACCESS)))
def test_no_access_to_the_source(synced: Any, untouched: None, given: tuple[str, str], words: str) -> None:
    synced.complains([f"^{NAME}: {words}"], "sync", "--all", **dict([given]))


@pytest.mark.parametrize(("change", "words"), NO_TABLES.items(), ids=range(len(NO_TABLES)))
def test_a_warehouse_without_the_tables(synced: Any, untouched: None, tmp_path: Path, change: str, words: str) -> None:
    with duckdb.connect(str(tmp_path / "warehouse")) as warehouse:
        if "prod" in change or change == "SELECT 1":
            source = synced.harness.environment["SEGMENT_WAREHOUSE"].removeprefix("duckdb:///")
            warehouse.execute(f"ATTACH '{source}' AS harness (READ_ONLY); CREATE SCHEMA prod")
            for table in TABLES:
                warehouse.execute(f"CREATE TABLE prod.{table} AS FROM harness.prod.{table} LIMIT 0")
        warehouse.execute(change)
    url = f"duckdb:///{tmp_path}/warehouse"
    synced.complains([f"^{NAME}: {words}"], "sync", "--all", SEGMENT_WAREHOUSE=url)


def test_no_access_to_the_platform_when_there_is_something_to_send(synced: Any) -> None:
    harness = synced.harness
    harness.ask(f"{harness.twins.segment}/_twin/churn", {"fraction": 0.1, "seed": 1})
    harness.suppress(harness.ask(f"{harness.twins.segment}/_twin/suppressed"))
    before = synced.state()
    for token, words in {
        "hunter2-hunter2": r"the access token is not valid any more .* and set access_token",
        "hunter2\nhunter2": r"a credential for 127\.0\.0\.1 holds a character .* Copy it anew",
        "": r"access_token: the secret env:META_TOKEN is empty\. Put the secret there",
    }.items():
        synced.complains([f"^{NAME}: .*{words}"], "sync", "--all", META_TOKEN=token)
    assert synced.state() == before
    assert synced.members(NAME) != synced.eligible(SEGMENT)
    assert harness.bridge("sync", "--all").code == 0
    assert synced.members(NAME) == synced.eligible(SEGMENT)


def test_a_list_of_the_suppressed_that_cannot_be_read_stops_the_run(synced: Any, untouched: None) -> None:
    opted_out = synced.harness.folder / "opted_out.csv"
    whole = opted_out.read_bytes()
    opted_out.write_bytes(b"secret.person\xff")
    words = rf"^{NAME}: {opted_out}: the suppression list cannot be read: it is not UTF-8 text\. Save it as UTF-8"
    synced.complains([words], "sync", "--all")
    opted_out.write_bytes(whole)


def test_the_doctor_names_everything_that_does_not_fit(synced: Any, untouched: None) -> None:
    wrong = {"SEGMENT_TOKEN": "hunter2-hunter2", "META_TOKEN": "hunter2-hunter2"}
    ill = synced.harness.bridge("doctor", "--json", **wrong)
    assert (ill.code, ill.err, "hunter2" in ill.out) == (1, "", False)
    failed = {one["name"]: one["remedy"] for one in ill.json if not one["passed"]}
    assert set(failed) == {"segment: workspace", "meta: token"}
    assert all(failed.values())


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """The URL, without password, of an empty PostgreSQL database that `guest` enters with the password `right`."""
    folder = Path(tempfile.mkdtemp(prefix="cdp-bridge-postgres-"))
    server = Postgres(folder, rules="local all guest scram-sha-256\n")
    server.start()
    with psycopg.connect(server.address, autocommit=True) as connection:
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'right'")
        connection.execute("CREATE DATABASE shop OWNER guest")
    yield f"postgresql://guest:{{}}@/shop?host={folder}"
    server.stop()
    shutil.rmtree(folder)


@pytest.mark.postgres
def test_a_wrong_password_of_postgresql(synced: Any, untouched: None, guarded: str) -> None:
    wrong, right = guarded.format("hunter2-hunter2"), guarded.format("right")
    refused = r"^error: postgresql://.*/shop: the database refuses the credentials\. Check user and password"
    synced.complains([refused], "sync", "--all", CDP_BRIDGE_STORE=wrong)
    synced.complains([refused], "apply", "-f", "bridge.yaml", "--yes", "--store", wrong)
    assert synced.harness.bridge("runs", "--store", right).code == 0
    no_entry = r"warehouse\.url: cannot connect: .*password authentication failed.*\. Check host, port"
    synced.complains([f"^{NAME}: {no_entry}"], "sync", "--all", SEGMENT_WAREHOUSE=wrong)
    no_tables = r"warehouse table prod\.user_traits: cannot be read: .* Select this table in Profiles Sync"
    synced.complains([f"^{NAME}: {no_tables}"], "sync", "--all", SEGMENT_WAREHOUSE=right)
