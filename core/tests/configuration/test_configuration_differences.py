"""The differences between two configurations, and how they read."""

import json

import msgspec
from cdp_bridge.configuration import Change
from cdp_bridge.configuration.differences import differences
from cdp_bridge.entities import Activation, Bridge, CDPConnection, DataMapping, DestinationAccount, FieldChange
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
    assert differences(checked, BRIDGE) == []


def test_a_default_is_the_same_whether_it_was_said_or_not() -> None:
    """What comes out of a store is equal to the default without being the very same object."""
    stored = msgspec.convert(json.loads(json.dumps(asdict(AUDIENCE))), Activation)
    scheduled = replace(CONNECTION, sync_schedule="".join(("hour", "ly")))
    assert differences(BRIDGE, replace(BRIDGE, connections=(scheduled,), audiences=(stored,))) == []


def test_everything_is_created_in_the_order_of_need_and_deleted() -> None:
    assert [(change.action, change.kind, change.name) for change in differences(Bridge(), BRIDGE)] == [
        ("create", "connection", "cdp"),
        ("create", "destination", "ads"),
        ("create", "mapping", "people"),
        ("create", "audience", "buyers"),
        ("create", "suppression", "/stop.txt"),
    ]
    assert {change.action for change in differences(BRIDGE, Bridge())} == {"delete"}
    assert len(differences(BRIDGE, Bridge())) == 5


def test_connector_settings_are_named_but_never_shown() -> None:
    credentials = {"token": "env:B", "extra": "hunter2"}
    (change,) = differences(BRIDGE, replace(BRIDGE, connections=(replace(CONNECTION, api_credentials=credentials),)))
    assert change.fields == [
        FieldChange(field="api_credentials.token", action="changed"),
        FieldChange(field="api_credentials.region", action="removed"),
        FieldChange(field="api_credentials.extra", action="set"),
    ]
    assert change.lines() == [
        "api_credentials.token changed",
        "api_credentials.region removed",
        "api_credentials.extra set",
    ]
    (created,) = differences(Bridge(), Bridge(connections=(CONNECTION,)))
    assert created.lines() == ['cdp_provider: "source-x"', "api_credentials.token set", "api_credentials.region set"]
    (deleted,) = differences(Bridge(connections=(CONNECTION,)), Bridge())
    assert deleted.fields == [
        FieldChange(field="cdp_provider", action="removed", old="source-x"),
        FieldChange(field="api_credentials", action="removed"),
    ]


def test_the_changed_parts_of_a_mapping_and_an_audience_are_shown() -> None:
    mappings = {"people": (replace(USER, cdp_field="uid"), DataMapping(omniads_field="country", constant="DE"))}
    audience = replace(AUDIENCE, segment="s2", removal_limit=0.5)
    changes = differences(BRIDGE, replace(BRIDGE, mappings=mappings, audiences=(audience,)))
    assert [(change.action, change.kind, change.name, change.lines()) for change in changes] == [
        (
            "change",
            "mapping",
            "people",
            ['0.cdp_field: "id" -> "uid"', '1.omniads_field: "country"', '1.constant: "DE"'],
        ),
        ("change", "audience", "buyers", ['segment: "s1" -> "s2"', "removal_limit: 0.5"]),
    ]
    assert changes[1].fields == [
        FieldChange(field="segment", action="changed", old="s1", new="s2"),
        FieldChange(field="removal_limit", action="set", new=0.5),
    ]


def test_a_shorter_list_shows_which_entries_are_gone() -> None:
    email = DataMapping(omniads_field="email", cdp_field="mail")
    (change,) = differences(replace(BRIDGE, mappings={"people": (USER, email)}), BRIDGE)
    assert change.lines() == ["1 removed"]


def test_a_note_is_the_last_line() -> None:
    assert Change("keep", "audience", "buyers", note="made by hand").lines() == ["made by hand"]
    field = FieldChange(field="segment", action="changed", old="s1", new="s2", through_api=True)
    assert Change("change", "audience", "buyers", [field]).lines() == [
        'segment: "s1" -> "s2"; it was changed through the API'
    ]
