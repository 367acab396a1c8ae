"""A database of an earlier version keeps what it holds when it is opened."""

import time
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from cdp_bridge.model import AudienceRef
from cdp_bridge.store import Store, migration
from cdp_bridge.store.configuration.bridge import ApiField
from cdp_bridge.store.database import Database


def make_store(url: str, version: str, *statements: str) -> None:
    """Create the tables of that version, then run the statements."""
    database = Database(url, time.time)
    with database.writing() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(Path(migration.__file__).with_name("migrations")))
        command.upgrade(config, version)
        for statement in statements:
            connection.execute(sa.text(statement))
    database.close()


def test_cursors_and_the_digests_among_them_stay(store_url: str) -> None:
    make_store(
        store_url,
        "0010",
        "INSERT INTO audience (id, name) VALUES (1, 'vip'), (2, 'cart')",
        "INSERT INTO audience_ref (audience_id, id, account, status) VALUES (1, 'a1', 'act_1', 'ready')",
        "INSERT INTO audience_ref (audience_id, id, account, status) VALUES (2, 'a2', 'act_1', 'ready')",
        """INSERT INTO cursor (connection, stream, segment, state) VALUES
           ('vip', 'members', 's1', '{"basis"\\: "b", "state"\\: {"page"\\: 3}}'),
           ('orders', 'events', '', '{"basis"\\: "c", "state"\\: {"page"\\: 4}}'),
           ('vip', '(destination)', '', '{"digest"\\: "abc"}'),
           ('never made', '(destination)', '', '{"digest"\\: "def"}')""",
    )
    with Store.open(store_url) as store:
        assert store.cursor("vip", "members", "s1") == {"basis": "b", "state": {"page": 3}}
        assert store.cursor("orders", "events", None) == {"basis": "c", "state": {"page": 4}}
        assert store.audience_ref("vip") == AudienceRef(id="a1", account="act_1", status="ready")
        assert [store.ensured(name).settings_digest for name in ("vip", "cart", "never made")] == ["abc", None, None]
        assert store.cursor("vip", "(destination)", None) is None
        with store._database.reading() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM cursor").scalar() == 2


def test_entries_that_the_audit_log_says_were_created_came_through_the_api(store_url: str) -> None:
    audited = "INSERT INTO audit (id, at, who, action, what, name, before, after) VALUES"
    make_store(
        store_url,
        "0011",
        "INSERT INTO mapping (name, position) VALUES ('by-api', 0), ('by-file', 1)",
        f"{audited} (1, 0, 'k1 anna', 'create', 'mapping', 'by-api', '', 'd1')",
        f"{audited} (2, 0, 'k1 anna', 'replace', 'mapping', 'by-file', 'd2', 'd3')",
        f"{audited} (3, 0, 'k1 anna', 'create', 'mapping', 'gone', '', 'd4')",
    )
    with Store.open(store_url) as store:
        assert store.configured().api_fields == {ApiField("mapping", "by-api", "")}
        assert [(entry.kind, entry.name, entry.changes) for entry in store.audit.listed()] == [
            ("mapping", "gone", []),
            ("mapping", "by-file", []),
            ("mapping", "by-api", []),
        ]
