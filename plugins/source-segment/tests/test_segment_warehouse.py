from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sandbox
from cdp_bridge.sdk import Checkpoint, ConfigError, Page, ReadRequest, Secret, TransientError
from source_segment import source, warehouse
from source_segment.query import Queries, Selection

from .conftest import Fill, MakeSettings

PASSWORD = "s3cret-hunter2"


def open_and_check(url: str, schema: str = "prod") -> None:
    with warehouse.opened(Secret(url), schema) as opened:
        opened.check_tables()


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:{PASSWORD}@127.0.0.1:1/db",
        f"postgresql://user:{PASSWORD}@[bad/db",
        f"mysql+nodriver://user:{PASSWORD}@localhost/db",
        f"nosuchdialect://user:{PASSWORD}@localhost/db",
        f"user:{PASSWORD}@localhost",
        "duckdb:////nowhere/file.duckdb",
        "sqlite:////nowhere/file.sqlite",
    ],
)
def test_no_way_in_names_the_place_and_never_the_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_and_check(url)
    assert caught.value.place == "warehouse.url"
    assert caught.value.remedy
    assert PASSWORD not in str(caught.value)


@pytest.mark.postgres
def test_wrong_credentials_and_database(postgres_url: str) -> None:
    for wrong in (
        postgres_url.replace("postgres@", f"stranger:{PASSWORD}@"),
        postgres_url.replace("/test_", "/nodb_"),
    ):
        with pytest.raises(ConfigError, match=r"warehouse\.url: cannot connect.*Check host") as caught:
            open_and_check(wrong)
        assert PASSWORD not in str(caught.value)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database" * 1000)
    for scheme in ("duckdb", "sqlite"):
        with pytest.raises(ConfigError, match="warehouse"):
            open_and_check(f"{scheme}:///{tmp_path}/notes.txt")


@pytest.mark.parametrize(
    "damage", ["DROP TABLE main.profile_merges", "ALTER TABLE main.user_traits DROP COLUMN uuid_ts"]
)
def test_missing_tables_and_columns(tmp_path: Path, damage: str) -> None:
    with duckdb.connect(str(tmp_path / "w.duckdb")) as database:
        for table, columns in (("user_traits", "name"), ("user_identifiers", "type"), ("profile_merges", "segment_id")):
            database.execute(
                f"CREATE TABLE {table} (canonical_segment_id text, {columns} text, value text, seq bigint, "
                "received_at timestamp, uuid_ts timestamp)"
            )
        open_url = f"duckdb:///{tmp_path}/w.duckdb"
        database.execute(damage)
    with pytest.raises(ConfigError, match=r"warehouse table main\.(profile_merges|user_traits).*Select this table"):
        open_and_check(open_url, "main")


def test_a_schema_that_is_not_there(fill: Fill) -> None:
    with pytest.raises(ConfigError, match=r'warehouse table no "schema\'\.user_traits'):
        open_and_check(fill({}).reveal(), "no \"schema'")


def test_a_query_that_breaks_off_is_transient(fill: Fill) -> None:
    with warehouse.opened(fill({}), "main") as opened, pytest.raises(TransientError, match="broke off"):
        opened.rows("SELECT CAST('x' AS INTEGER) / 0 FROM nothing_here")


def test_a_warehouse_file_cannot_read_other_files(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "w.duckdb")) as database:
        database.execute(f"CREATE VIEW spy AS SELECT * FROM read_text('{__file__}')")
    url = Secret(f"duckdb:///{tmp_path}/w.duckdb")
    with warehouse.opened(url, "main") as opened, pytest.raises(TransientError, match="broke off"):
        opened.rows("SELECT * FROM spy")


@pytest.mark.parametrize("dialect", ["snowflake", "bigquery", "redshift", "databricks", "mysql", "tsql", "sqlite"])
def test_other_dialects_get_sql_without_lists_and_with_their_own_escapes(dialect: str) -> None:
    sql = Queries("prod", dialect).facts(Selection("it's \\ here", ("email",), ("plan",)))
    assert "ARRAY_AGG" not in sql.upper()
    assert ("it''s \\ here" in sql) or ("it\\'s \\\\ here" in sql) or ("it''s \\\\ here" in sql)
    assert ('"prod"' in sql) == (dialect in {"redshift", "sqlite"})


def test_check_finds_everything_in_order(make_settings: MakeSettings) -> None:
    probes = source.check(make_settings())
    assert [probe.name for probe in probes if not probe.passed] == []
    assert [probe.name for probe in probes] == [
        *("workspace", "space", "audiences", "warehouse", "warehouse tables", "warehouse freshness", "profile api")
    ]


def test_check_without_a_warehouse_names_the_missing_route(make_settings: MakeSettings) -> None:
    settings = make_settings(warehouse=None, profile_api_token=None)
    failed = [probe for probe in source.check(settings) if not probe.passed]
    assert [(probe.name, "Profiles Sync" in probe.remedy) for probe in failed] == [("warehouse", True)]
    with pytest.raises(ConfigError, match="Set up Unify > Profiles Sync"):
        list(source.read(settings, ReadRequest(stream="audience_members", segment="vip_eu")))


@pytest.mark.parametrize(
    ("changes", "failing"),
    [
        ({"public_api_token": "wrong"}, {"workspace"}),
        ({"space": "dev"}, {"space", "warehouse tables"}),
        ({"audiences": ["nope"]}, {"audiences"}),
        ({"profile_api_token": "wrong"}, {"profile api"}),
        ({"warehouse": {"url": "duckdb:////nowhere"}}, {"warehouse"}),
    ],
)
def test_check_never_raises(
    make_settings: MakeSettings, twin: sandbox.Sandbox, changes: dict[str, Any], failing: set[str]
) -> None:
    if changes.get("space"):
        changes = changes | {"warehouse": {"url": twin.warehouse, "schema": "dev"}}
    failed = {probe.name: probe.remedy for probe in source.check(make_settings(**changes)) if not probe.passed}
    assert set(failed) == failing
    assert all(failed.values())


def test_streams(
    make_settings: MakeSettings, rows: Callable[[Iterable[Page | Checkpoint]], list[dict[str, Any]]]
) -> None:
    assert [stream.name for stream in source.discover(make_settings()).streams if stream.membership] == [
        "audience_members"
    ]
    assert source.discover(make_settings()).stream("profiles")
    assert source.discover(make_settings(profile_api_token=None)).stream("profiles") is None
    for name, keys in (("spaces", {"id", "slug"}), ("audiences", {"id", "key", "size"})):
        assert keys <= set(rows(source.read(make_settings(), ReadRequest(stream=name)))[0])
    with pytest.raises(ConfigError, match="no stream nope"):
        list(source.read(make_settings(), ReadRequest(stream="nope")))
