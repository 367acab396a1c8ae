"""A Segment twin for the session, and small Profiles Sync schemas in each kind of warehouse."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import duckdb
import psycopg
import pytest
import requests
import sandbox
from cdp_bridge import retry
from cdp_bridge import settings as checked
from cdp_bridge.sdk import Checkpoint, Page, ReadRequest, Secret
from source_segment import members, warehouse
from source_segment.settings import Settings

PEOPLE = 600
COLUMNS = {
    "user_traits": "canonical_segment_id text, name text, value text",
    "user_identifiers": "canonical_segment_id text, type text, value text",
    "profile_merges": "canonical_segment_id text, segment_id text",
}
STAMPS = "seq bigint, received_at timestamp, uuid_ts timestamp, timestamp timestamp"
T0 = "2026-03-01 00:00:00"

Rows = Mapping[str, Sequence[tuple[Any, ...]]]
Fill = Callable[[Rows], Secret]


class MakeSettings(Protocol):
    """Settings for the twin, some of them changed; None leaves one out."""

    def __call__(self, **changes: Any) -> Settings: ...


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sandbox.Sandbox]:
    """The Segment twin with `PEOPLE` people and a DuckDB warehouse; tests leave its people as they are."""
    file = tmp_path_factory.mktemp("warehouse") / "segment.duckdb"
    with sandbox.running(people=PEOPLE, warehouse=f"duckdb:///{file}") as box:
        yield box


@pytest.fixture
def make_settings(twin: sandbox.Sandbox) -> MakeSettings:
    """Settings for the twin, some of them changed; None leaves one out."""

    def make(**changes: Any) -> Settings:
        raw = {
            "public_api_token": "sandbox-papi-token",
            "profile_api_token": "sandbox-profile-token",
            "base_url": twin.segment,
            "warehouse": {"url": twin.warehouse},
        } | changes
        return checked.load(Settings, {name: value for name, value in raw.items() if value is not None})

    return make


class Fail(Protocol):
    """Let the twin answer as told."""

    def __call__(self, **fault: Any) -> None: ...


@pytest.fixture
def fail(twin: sandbox.Sandbox) -> Iterator[Fail]:
    """Let the twin answer as told, until the end of the test."""

    def add(**fault: Any) -> None:
        requests.post(f"{twin.segment}/_twin/faults", json=[fault]).raise_for_status()

    yield add
    requests.delete(f"{twin.segment}/_twin/faults")


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between tries, in seconds, which nobody has to sit through."""
    waits: list[float] = []
    assert retry.retrying.__kwdefaults__ is not None
    monkeypatch.setitem(retry.retrying.__kwdefaults__, "sleep", waits.append)
    return waits


@pytest.fixture(params=["duckdb", pytest.param("postgres", marks=pytest.mark.postgres), "sqlite"])
def fill(request: pytest.FixtureRequest, tmp_path: Path) -> Fill:
    """Put rows into the schema `main` of a warehouse, once for each kind of it; returns its URL.

    Rows of traits and identifiers are (person, name, value, seq, received_at), of merges (survivor, gone, received_at).
    """
    file = tmp_path / "segment.warehouse"
    if request.param == "duckdb":
        return lambda rows: _write(rows, duckdb.connect(str(file)), f"duckdb:///{file}", "?")
    if request.param == "sqlite":
        return lambda rows: _write(rows, sqlite3.connect(file), f"sqlite:///{file}", "?")
    url = request.getfixturevalue("postgres_url")
    return lambda rows: _write(rows, psycopg.connect(url), url, "%s")


def _write(rows: Rows, database: Any, url: str, mark: str) -> Secret:
    cursor = database.cursor()
    if mark == "%s":
        cursor.execute("CREATE SCHEMA IF NOT EXISTS main")
        cursor.execute("SET search_path TO main")
    for table, columns in COLUMNS.items():
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns}, {STAMPS})")
        for *values, at in rows.get(table, ()):
            full = [*values, *([None] if table == "profile_merges" else []), at, at]
            marks = ", ".join([mark] * len(full))
            cursor.execute(f"INSERT INTO {table} VALUES ({marks}, NULL)", full)
    database.commit()
    cursor.close()
    database.close()
    return Secret(url)


def rows_of(found: Iterable[Page | Checkpoint]) -> list[dict[str, Any]]:
    """The records of all pages as dicts."""
    pages = [item.records for item in found if isinstance(item, Page)]
    return [dict(row) for page in pages for row in (page if isinstance(page, Sequence) else page.to_pylist())]


@pytest.fixture
def rows() -> Callable[[Iterable[Page | Checkpoint]], list[dict[str, Any]]]:
    """The records of what a read gives, as dicts."""
    return rows_of


class ReadPeople(Protocol):
    """Read an audience's records out of a warehouse, sorted by person."""

    def __call__(
        self, url: Secret, key: str = "vip", size: int | None = None, **request: Any
    ) -> list[dict[str, Any]]: ...


@pytest.fixture
def people() -> ReadPeople:
    """Read an audience's records out of a warehouse, sorted by person."""

    def read(url: Secret, key: str = "vip", size: int | None = None, **request: Any) -> list[dict[str, Any]]:
        audience = {"key": key, "size": {"count": size}}
        with warehouse.opened(url, "main") as opened:
            found = list(members.read(opened, [audience], ReadRequest(stream=members.STREAM, **request)))
        return sorted(rows_of(found), key=lambda row: (row["canonical_segment_id"], row["user_id"] or ""))

    return read
