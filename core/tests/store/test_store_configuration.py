"""The configuration comes back as it was saved; what belongs to entries that are gone is deleted."""

from datetime import datetime

import pytest
import sqlalchemy as sa
from cdp_bridge.entities import (
    Activation,
    Bridge,
    CDPConnection,
    CDPSegment,
    Consent,
    ConversionFeed,
    DataMapping,
    DestinationAccount,
)
from cdp_bridge.errors import ConfigError
from cdp_bridge.store import Store, tables
from cdp_bridge.testing.configuring import configure
from msgspec.structs import replace

from .conftest import People

BRIDGE = Bridge(
    connections=(
        CDPConnection(
            name="segment",
            cdp_provider="source-segment",
            api_credentials={"token": "env:SEGMENT_TOKEN", "warehouse": {"url": "file:dsn", "ports": [1, 2]}},
            sync_schedule="daily",
        ),
        CDPConnection(name="files", cdp_provider="source-file"),
    ),
    destinations=(DestinationAccount(name="meta", connector="destination-meta", settings={"account": "act_1"}),),
    mappings={
        "people": (
            DataMapping(omniads_field="user_id", cdp_field="user_id"),
            DataMapping(
                omniads_field="email", cdp_field="identifiers.email", validation={"maxLength": 200}, policy="clear"
            ),
            DataMapping(omniads_field="country", constant="", on_invalid="fail", transformation_rule="upper(value)"),
        ),
        "empty": (),
    },
    audiences=(
        Activation(name="z-first", connection="segment", segment="vip", destination="meta", mapping="people"),
        Activation(
            name="a-second",
            connection="files",
            segment="all",
            destination="meta",
            mapping="empty",
            audience_name="Everybody ☃",
            stream="people",
            consent=(Consent(purpose="ads", cdp_field="traits.ads", granted=("y",), missing="granted"),),
            removal_limit=0.05,
            incremental=True,
        ),
    ),
    conversions=(
        ConversionFeed(name="orders", connection="files", destination="meta", mapping="empty", stream="orders"),
        ConversionFeed(name="leads", connection="segment", destination="meta", mapping="people", incremental=True),
    ),
    suppressions=("z.csv", "a.csv"),
)


def test_a_new_store_has_an_empty_configuration(store: Store) -> None:
    assert store.bridge() == Bridge()


def test_the_configuration_comes_back_as_saved_in_its_order(store: Store) -> None:
    configure(store, BRIDGE)
    assert store.bridge() == BRIDGE
    assert list(store.bridge().mappings) == ["people", "empty"]
    assert [row.name for row in store.audiences()] == ["a-second", "leads", "orders", "z-first"]


def test_what_is_gone_is_deleted_and_the_ledger_stays(store: Store, people: People, at: datetime) -> None:
    configure(store, BRIDGE)
    with store.transaction() as change:
        change.put_members("z-first", people(3), "accepted", at)
    configure(store, Bridge(connections=BRIDGE.connections[1:]))
    assert store.bridge() == Bridge(connections=BRIDGE.connections[1:])
    assert [(row.name, row.members) for row in store.audiences()] == [("z-first", 3)]


def test_the_status_of_a_connection_survives_a_new_configuration(store: Store) -> None:
    configure(store, BRIDGE)
    store.set_connection_status("segment", "connected")
    configure(store, BRIDGE)
    assert [known.connection_status for known in store.bridge().connections] == ["connected", "unchecked"]


def test_the_status_of_an_unknown_connection_is_refused(store: Store) -> None:
    with pytest.raises(ConfigError, match="nobody"):
        store.set_connection_status("nobody", "connected")


def save_cursors(store: Store, *syncs: str) -> None:
    with store.transaction() as change:
        for name in syncs:
            change.save_cursor(name, "people", "vip", {"page": 1})


def cursors(store: Store) -> set[str]:
    """The syncs that have one."""
    with store._database.reading() as connection:
        return set(connection.execute(sa.select(tables.cursor.c.sync)).scalars())


def test_cursors_stay_as_long_as_their_sync_is_configured(store: Store) -> None:
    configure(store, BRIDGE)
    save_cursors(store, "z-first", "a-second", "orders", "leads")
    configure(store, replace(BRIDGE, suppressions=()))
    assert store.cursor("z-first", "people", "vip") == {"page": 1}
    assert cursors(store) == {"z-first", "a-second", "orders", "leads"}


def test_a_sync_that_comes_back_has_no_cursor(store: Store) -> None:
    configure(store, BRIDGE)
    save_cursors(store, "z-first", "a-second", "orders", "leads")
    configure(store, replace(BRIDGE, audiences=BRIDGE.audiences[1:], conversions=BRIDGE.conversions[:1]))
    assert cursors(store) == {"a-second", "orders"}
    # Runs that were under way when their syncs went.
    save_cursors(store, "z-first", "leads")
    configure(store, BRIDGE)
    assert cursors(store) == {"a-second", "orders"}


def test_nothing_of_a_connection_and_its_syncs_stays(store: Store) -> None:
    configure(store, BRIDGE)
    save_cursors(store, "z-first", "a-second", "orders", "leads")
    with store.transaction() as change:
        for name in ("segment", "files"):
            change.save_segment(CDPSegment(connection=name, segment_id="vip", segment_name="VIP"))
    configure(
        store,
        replace(
            BRIDGE,
            connections=BRIDGE.connections[1:],
            audiences=BRIDGE.audiences[1:],
            conversions=BRIDGE.conversions[:1],
        ),
    )
    assert cursors(store) == {"a-second", "orders"}
    assert [segment.connection for segment in store.segments()] == ["files"]
    configure(store, Bridge())
    assert cursors(store) == set()


def test_a_name_that_does_not_exist_is_refused_and_nothing_changes(store: Store) -> None:
    configure(store, BRIDGE)
    with pytest.raises(ConfigError, match="names another one that does not exist"):
        configure(store, replace(BRIDGE, destinations=()))
    assert store.bridge() == BRIDGE
