"""The changes between two configurations."""

import json

import msgspec
from cdp_bridge.configuration import Change, plan
from cdp_bridge.entities import Activation, Bridge, CDPConnection, DataMapping, DestinationAccount
from msgspec.structs import asdict, replace

CONNECTION = CDPConnection(name="cdp", cdp_provider="source-x", api_credentials={"token": "env:A", "region": "eu"})
ACCOUNT = DestinationAccount(name="ads", connector="destination-x", settings={"account": "act_1"})
AUDIENCE = Activation(name="buyers", connection="cdp", segment="s1", destination="ads", mapping="people")
USER = DataMapping(omniads_field="user_id", cdp_field="id")
BRIDGE = Bridge(
    connections=(CONNECTION,),
    destinations=(ACCOUNT,),
    mappings={"people": (USER,)},
    audiences=(AUDIENCE,),
    suppressions=("/stop.txt",),
)


def test_nothing_changes_between_equals() -> None:
    checked = replace(BRIDGE, connections=(replace(CONNECTION, connection_status="connected"),))
    assert plan(checked, BRIDGE) == []


def test_a_default_is_the_same_whether_it_was_said_or_not() -> None:
    """What comes out of a store is equal to the default without being the very same object."""
    stored = msgspec.convert(json.loads(json.dumps(asdict(AUDIENCE))), Activation)
    scheduled = replace(CONNECTION, sync_schedule="".join(("hour", "ly")))
    assert plan(BRIDGE, replace(BRIDGE, connections=(scheduled,), audiences=(stored,))) == []


def test_everything_is_created_in_the_order_of_need_and_removed() -> None:
    assert [(change.kind, change.what, change.name) for change in plan(Bridge(), BRIDGE)] == [
        ("create", "connection", "cdp"),
        ("create", "destination", "ads"),
        ("create", "mapping", "people"),
        ("create", "audience", "buyers"),
        ("create", "suppression", "/stop.txt"),
    ]
    assert {change.kind for change in plan(BRIDGE, Bridge())} == {"remove"}
    assert len(plan(BRIDGE, Bridge())) == 5


def test_connector_settings_are_named_but_never_shown() -> None:
    credentials = {"token": "env:B", "extra": "hunter2"}
    changes = plan(BRIDGE, replace(BRIDGE, connections=(replace(CONNECTION, api_credentials=credentials),)))
    assert changes == [
        Change(
            "change",
            "connection",
            "cdp",
            ["api_credentials.token changed", "api_credentials.region removed", "api_credentials.extra set"],
        )
    ]
    created = plan(Bridge(), Bridge(connections=(CONNECTION,)))[0].details
    assert created == ['cdp_provider: "source-x"', "api_credentials.token set", "api_credentials.region set"]


def test_the_changed_parts_of_a_mapping_and_an_audience_are_shown() -> None:
    mappings = {"people": (replace(USER, cdp_field="uid"), DataMapping(omniads_field="country", constant="DE"))}
    audience = replace(AUDIENCE, segment="s2", removal_limit=0.5)
    assert plan(BRIDGE, replace(BRIDGE, mappings=mappings, audiences=(audience,))) == [
        Change(
            "change",
            "mapping",
            "people",
            ['0.cdp_field: "id" -> "uid"', '1.omniads_field: "country"', '1.constant: "DE"'],
        ),
        Change("change", "audience", "buyers", ['segment: "s1" -> "s2"', "removal_limit: 0.5"]),
    ]


def test_a_shorter_list_shows_what_is_gone() -> None:
    before = replace(BRIDGE, mappings={"people": (USER, DataMapping(omniads_field="email", cdp_field="mail"))})
    assert plan(before, BRIDGE) == [Change("change", "mapping", "people", ["1 removed"])]
