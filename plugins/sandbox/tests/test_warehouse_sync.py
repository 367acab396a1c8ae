"""The Profiles Sync warehouse holds the population, and a tick moves only what changed, in DuckDB and PostgreSQL."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from sandbox import warehouse
from sandbox.churn import churn
from sandbox.people import Population, generate

Query = Callable[[str], list[tuple[Any, ...]]]
TABLES = {
    "user_traits": "canonical_segment_id name value seq received_at uuid_ts timestamp",
    "user_identifiers": "canonical_segment_id type value seq received_at uuid_ts timestamp",
    "profile_merges": "canonical_segment_id segment_id seq received_at uuid_ts timestamp",
    "id_graph_updates": "segment_id canonical_segment_id triggering_event_type triggering_event_id timestamp",
    "external_id_mapping_updates": "segment_id external_id_type external_id_value external_id_hash seq timestamp "
    "__operation",
}


@pytest.fixture(params=["duckdb", pytest.param("postgresql", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "duckdb":
        return f"duckdb:///{tmp_path / 'warehouse.duckdb'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def query(place: str) -> Query:
    def run(text: str) -> list[tuple[Any, ...]]:
        if place.startswith("duckdb"):
            with duckdb.connect(place.removeprefix("duckdb:///"), read_only=True) as database:
                return database.execute(text).fetchall()
        with psycopg.connect(place) as connection:
            return connection.execute(text.encode()).fetchall()

    return run


@pytest.fixture(scope="module")
def population() -> Population:
    return generate(1500, 5)


def traits(population: Population) -> list[tuple[str, str, str]]:
    found = []
    for person in population:
        found += [(person.segment_id, name, value) for name, value in person.traits.items()]
        found += [(person.segment_id, key, str(flag).lower()) for key, flag in person.memberships.items()]
    return sorted(found)


def identifiers(population: Population) -> list[tuple[str, str, str]]:
    return sorted((person.segment_id, kind, value) for person in population for kind, value in person.identifiers())


def merges(population: Population) -> list[tuple[str, str]]:
    return sorted((person.segment_id, old) for person in population for old in person.merged_segment_ids)


def held(query: Query, table: str, columns: str) -> list[tuple[Any, ...]]:
    return sorted(query(f"SELECT {columns} FROM prod.{table}"))


def test_the_backfill_holds_every_trait_identifier_and_merge_without_timestamps(
    place: str, query: Query, population: Population
) -> None:
    warehouse.seed(place, population)
    assert held(query, "user_traits", "canonical_segment_id, name, value") == traits(population)
    assert held(query, "user_identifiers", "canonical_segment_id, type, value") == identifiers(population)
    assert held(query, "profile_merges", "canonical_segment_id, segment_id") == merges(population)
    assert query("SELECT count(*), count(timestamp), count(DISTINCT uuid_ts) FROM prod.user_traits")[0][1:] == (0, 1)
    assert query("SELECT count(*) FROM prod.profile_traits_updates") == [(len(population),)]
    assert query("SELECT DISTINCT __operation FROM prod.external_id_mapping_updates") == [("CREATED",)]


def test_the_tables_have_the_columns_of_profiles_sync(place: str, query: Query, population: Population) -> None:
    warehouse.seed(place, population.people[:3])
    for table, columns in TABLES.items():
        listed = query(
            "SELECT column_name FROM information_schema.columns "
            f"WHERE table_schema = 'prod' AND table_name = '{table}' ORDER BY ordinal_position"
        )
        assert [name for (name,) in listed] == columns.split()


def test_a_tick_leaves_exactly_the_new_state_and_touches_only_what_changed(
    place: str, query: Query, population: Population
) -> None:
    warehouse.seed(place, population)
    happened = churn(population, 0.05, 7)
    at = warehouse.apply_churn(place, happened)
    after = happened.population
    assert held(query, "user_traits", "canonical_segment_id, name, value") == traits(after)
    assert sorted(set(held(query, "user_identifiers", "canonical_segment_id, type, value"))) == sorted(
        set(identifiers(after))
    )
    assert held(query, "profile_merges", "canonical_segment_id, segment_id") == merges(after)
    moved = query(
        f"SELECT canonical_segment_id, count(timestamp) FROM prod.user_traits WHERE uuid_ts = '{at}' GROUP BY 1"
    )
    touched = {happened.changed[key].segment_id for key in happened.changed}
    assert {segment_id for segment_id, _ in moved} <= touched
    assert all(count for _, count in moved)
    assert query("SELECT count(*) FROM prod.external_id_mapping_updates WHERE __operation = 'REMOVED'")[0][0] > 0


def test_the_ticks_are_one_hour_apart(place: str, query: Query, population: Population) -> None:
    warehouse.seed(place, population)
    first = churn(population, 0.02, 1)
    ticks = [warehouse.apply_churn(place, first), warehouse.apply_churn(place, churn(first.population, 0.02, 2))]
    assert [(tick - warehouse.BACKFILL).total_seconds() for tick in ticks] == [3600.0, 7200.0]
    assert query("SELECT max(uuid_ts) FROM prod.user_traits") == [(ticks[1],)]


def test_seeding_again_replaces_the_tables(place: str, query: Query, population: Population) -> None:
    warehouse.seed(place, population)
    warehouse.seed(place, population.people[:10])
    assert query("SELECT count(DISTINCT canonical_segment_id) FROM prod.user_traits") == [(10,)]


@pytest.mark.parametrize(("url", "schema"), [("mysql://localhost/x", "prod"), ("duckdb:///x.duckdb", "Prod; DROP")])
def test_a_place_it_cannot_write_to_is_named(url: str, schema: str) -> None:
    with pytest.raises(ValueError, match="warehouse"):
        warehouse.seed(url, [], schema)
