"""The one write path: planned against a version, applied whole or not at all, audited, with the origin of fields."""

import threading
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
import sqlalchemy as sa
from cdp_bridge.configuration import EntryKey, Plan, apply, changes, plan
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Activation, Bridge, CDPConnection, ConversionFeed, DataMapping, DestinationAccount
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import Connector
from cdp_bridge.sdk import Secret, option
from cdp_bridge.secrets import Secret as Hidden
from cdp_bridge.settings import SettingsError
from cdp_bridge.store import Store, tables
from cdp_bridge.store.secrets.keyring import VARIABLE
from cdp_bridge.store.window import Window
from msgspec.structs import replace

CANARY = "env:CANARY_OF_A_SECRET"
CLI, KEY = "cli:anna", "k1 marketing"


class Source(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    token: Annotated[Secret, option("Token")]
    region: str = "us"


class Sink(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    account: str


CONNECTION = CDPConnection(name="cdp", cdp_provider="source-x", api_credentials={"token": CANARY, "region": "eu"})
USER = DataMapping(omniads_field="user_id", cdp_field="id")
EVENT = tuple(DataMapping(omniads_field=name, cdp_field=name) for name in ("event_id", "event_name", "occurred_at"))
AUDIENCE = Activation(name="buyers", connection="cdp", segment="s1", destination="ads", mapping="people")
FILE = Bridge(
    connections=(CONNECTION,),
    destinations=(DestinationAccount(name="ads", connector="destination-x", settings={"account": "act_1"}),),
    mappings={"people": (USER,)},
    audiences=(AUDIENCE,),
    suppressions=("/stop.txt",),
)
VIPS = replace(AUDIENCE, name="vips", segment="s9")


@pytest.fixture(autouse=True)
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "keyring"))


@pytest.fixture
def registry() -> Registry:
    registry = Registry(())
    for name, settings in (("source-x", Source), ("destination-x", Sink)):
        kind: Any = name.partition("-")[0]
        registry.connectors[name] = Connector(name=name, kind=kind, settings=settings, load="x:y")
    return registry


class Configuration:
    """A store to which FILE was applied, and the edits of it."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self.store, self.registry = store, registry
        self.apply(FILE)

    def plan(self, wanted: Bridge = FILE, *, prune: bool = False) -> Plan:
        return plan(self.store, self.registry, wanted, prune=prune)

    def apply(self, wanted: Bridge = FILE, *, prune: bool = False) -> None:
        apply(self.store, self.plan(wanted, prune=prune), CLI)

    def create(self, kind: Any, value: Any) -> None:
        changes.create(self.store, self.registry, EntryKey(kind, value.name), value, KEY)

    def replace(self, kind: Any, value: Any, version: str | None = None) -> None:
        changes.replace(self.store, self.registry, EntryKey(kind, value.name), value, version, KEY)

    def delete(self, kind: Any, name: str) -> None:
        changes.delete(self.store, EntryKey(kind, name), None, KEY)

    def audience_names(self) -> list[str]:
        return [audience.name for audience in self.store.bridge().audiences]

    def secrets(self) -> set[str]:
        with self.store._database.reading() as connection:
            return set(connection.execute(sa.select(tables.secret.c.name)).scalars())


@pytest.fixture
def configuration(store: Store, registry: Registry) -> Configuration:
    return Configuration(store, registry)


def shown(planned: Plan) -> list[tuple[str, str, str, list[str]]]:
    return [(change.action, change.kind, change.name, change.lines()) for change in planned.changes]


def test_a_plan_made_before_an_edit_is_refused_and_changes_nothing(configuration: Configuration) -> None:
    planned = configuration.plan(replace(FILE, audiences=()))
    configuration.replace("audience", replace(AUDIENCE, segment="s2"))
    before, entries = configuration.store.configured(), configuration.store.audit.listed()
    with pytest.raises(changes.VersionError, match=r"has changed since the plan was made. Run plan again"):
        apply(configuration.store, planned, CLI)
    assert configuration.store.configured() == before
    assert configuration.store.audit.listed() == entries


def test_a_plan_is_refused_when_only_the_origin_changed(configuration: Configuration) -> None:
    planned = configuration.plan(replace(FILE, suppressions=()))
    configuration.delete("audience", "buyers")
    configuration.create("audience", AUDIENCE)
    assert configuration.store.bridge() == FILE
    with pytest.raises(changes.VersionError):
        apply(configuration.store, planned, CLI)


def test_the_outcome_of_a_check_does_not_outdate_a_plan(configuration: Configuration) -> None:
    planned = configuration.plan(replace(FILE, audiences=()))
    configuration.store.set_connection_status("cdp", "connected")
    apply(configuration.store, planned, CLI)
    assert configuration.audience_names() == []
    assert configuration.store.bridge().connections[0].connection_status == "connected"


def test_of_two_concurrent_applies_one_wins(configuration: Configuration) -> None:
    plans = [configuration.plan(replace(FILE, audiences=(replace(AUDIENCE, segment=name),))) for name in "ab"]
    barrier, refused = threading.Barrier(2), list[ConfigError]()

    def run(planned: Plan) -> None:
        barrier.wait()
        try:
            apply(configuration.store, planned, CLI)
        except changes.VersionError as error:
            refused.append(error)

    threads = [threading.Thread(target=run, args=[planned]) for planned in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert configuration.store.bridge().audiences[0].segment in ("a", "b")
    assert [entry.action for entry in configuration.store.audit.listed()].count("change") == 1


def test_apply_writes_one_audit_entry_a_change_with_fields_and_no_secret(configuration: Configuration) -> None:
    credentials = {"token": "env:OTHER_CANARY", "region": "eu"}
    configuration.apply(
        replace(
            FILE,
            connections=(replace(CONNECTION, api_credentials=credentials),),
            audiences=(replace(AUDIENCE, segment="s2"),),
            suppressions=(),
        )
    )
    entries = configuration.store.audit.listed()
    told = [
        (entry.who, entry.action, entry.kind, entry.name, [(f.field, f.action, f.old, f.new) for f in entry.changes])
        for entry in reversed(entries)
    ]
    assert told[5:] == [
        (CLI, "change", "connection", "cdp", [("api_credentials.token", "changed", None, None)]),
        (CLI, "change", "audience", "buyers", [("segment", "changed", "s1", "s2")]),
        (CLI, "delete", "suppression", "/stop.txt", []),
    ]
    assert [entry[1:4] for entry in told[:5]] == [
        ("create", "connection", "cdp"),
        ("create", "destination", "ads"),
        ("create", "mapping", "people"),
        ("create", "audience", "buyers"),
        ("create", "suppression", "/stop.txt"),
    ]
    assert "CANARY" not in repr(entries)
    assert "act_1" not in repr(entries)


def test_an_edit_of_the_api_is_audited_alike(configuration: Configuration) -> None:
    configuration.create("audience", VIPS)
    configuration.replace("audience", replace(VIPS, removal_limit=0.5))
    configuration.replace("connection", replace(CONNECTION, api_credentials={"token": CANARY, "region": "us"}))
    configuration.delete("audience", "vips")
    deleted, connection, changed, created = configuration.store.audit.listed(window=Window(limit=4))
    assert {entry.who for entry in (deleted, connection, changed, created)} == {KEY}
    assert [(f.field, f.new) for f in created.changes][:2] == [("connection", "cdp"), ("destination", "ads")]
    assert [(f.field, f.old, f.new) for f in changed.changes] == [("removal_limit", None, 0.5)]
    assert [(f.field, f.action, f.old, f.new) for f in connection.changes] == [
        ("api_credentials.region", "changed", None, None)
    ]
    assert ("segment", "s9") in [(f.field, f.old) for f in deleted.changes]
    assert "CANARY" not in repr((deleted, connection, changed, created))


def test_an_audience_made_through_the_api_stays_until_it_is_pruned(configuration: Configuration) -> None:
    configuration.create("audience", VIPS)
    assert shown(configuration.plan()) == [("keep", "audience", "vips", ["made through the API; --prune deletes it"])]
    assert configuration.plan().is_empty
    configuration.apply(replace(FILE, suppressions=()))
    assert configuration.audience_names() == ["buyers", "vips"]
    assert shown(configuration.plan(prune=True)) == [
        ("delete", "audience", "vips", ["made through the API"]),
        ("create", "suppression", "/stop.txt", []),
    ]
    configuration.apply(prune=True)
    assert configuration.store.bridge() == FILE
    assert configuration.store.configured().api_fields == frozenset()


def test_an_entry_that_came_from_the_file_goes_with_it(configuration: Configuration) -> None:
    configuration.replace("audience", replace(AUDIENCE, segment="s2"))
    assert shown(configuration.plan(replace(FILE, audiences=()))) == [("delete", "audience", "buyers", [])]


def test_a_field_that_the_api_changed_is_set_back_and_the_plan_says_so(configuration: Configuration) -> None:
    configuration.replace("audience", replace(AUDIENCE, segment="s2", removal_limit=0.1))
    configuration.replace("connection", replace(CONNECTION, api_credentials={"token": "env:OTHER"}))
    wanted = replace(FILE, audiences=(replace(AUDIENCE, incremental=True),))
    assert shown(configuration.plan(wanted)) == [
        (
            "change",
            "connection",
            "cdp",
            [
                "api_credentials.token changed; it was changed through the API",
                "api_credentials.region set; it was changed through the API",
            ],
        ),
        (
            "change",
            "audience",
            "buyers",
            [
                'segment: "s2" -> "s1"; it was changed through the API',
                "removal_limit removed; it was changed through the API",
                "incremental: true",
            ],
        ),
    ]
    configuration.apply(wanted)
    assert configuration.store.bridge() == wanted
    assert configuration.store.configured().api_fields == frozenset()
    (audience, connection) = configuration.store.audit.listed(window=Window(limit=2))
    assert [field.through_api for field in audience.changes] == [True, True, False]
    assert [field.through_api for field in connection.changes] == [True, True]


def test_the_origin_is_kept_per_field(configuration: Configuration) -> None:
    configuration.replace("connection", replace(CONNECTION, api_credentials={"token": CANARY, "region": "us"}))
    configuration.create("audience", VIPS)
    stored = configuration.store.configured()
    connection, vips = stored.origins("connection", "cdp"), stored.origins("audience", "vips")
    fields = ("api_credentials.token", "cdp_provider", "api_credentials.region", "api_credentials", "")
    assert [connection.of(field) for field in fields] == ["file", "file", "api", "api", "api"]
    assert [vips.of(field) for field in ("", "segment", "consent.0")] == ["api"] * 3
    assert stored.origins("audience", "buyers").of("") == "file"


def test_a_value_set_back_through_the_api_is_still_the_api_s(configuration: Configuration) -> None:
    configuration.replace("audience", replace(AUDIENCE, segment="s2"))
    configuration.replace("audience", AUDIENCE)
    assert configuration.store.configured().origins("audience", "buyers").of("segment") == "api"
    assert shown(configuration.plan()) == [("change", "audience", "buyers", [changes.TAKEN_OVER])]
    configuration.apply()
    assert configuration.store.configured().api_fields == frozenset()
    assert configuration.plan().changes == []


def test_an_entry_of_the_api_that_the_file_names_is_the_file_s(configuration: Configuration) -> None:
    configuration.create("audience", VIPS)
    configuration.apply(replace(FILE, audiences=(AUDIENCE, VIPS)))
    assert configuration.audience_names() == ["buyers", "vips"]
    configuration.apply()
    assert configuration.audience_names() == ["buyers"]


def test_a_file_that_does_not_go_with_an_entry_of_the_api_is_refused(configuration: Configuration) -> None:
    configuration.create("audience", VIPS)
    without = Bridge(destinations=FILE.destinations, mappings={"people": EVENT})
    with pytest.raises(SettingsError) as caught:
        configuration.plan(without)
    assert [(error.place, error.problem) for error in caught.value.errors] == [
        ("audience vips (made through the API)", "there is no connection cdp"),
        ("audience vips (made through the API)", "people is about conversions, not people"),
    ]
    assert all("--prune" in error.remedy for error in caught.value.errors)
    feed = ConversionFeed(name="vips", connection="cdp", destination="ads", mapping="events")
    named = replace(FILE, mappings={**FILE.mappings, "events": EVENT}, conversions=(feed,))
    with pytest.raises(SettingsError, match="conversion vips: the name vips is taken"):
        configuration.plan(named)
    configuration.apply(without, prune=True)
    assert configuration.audience_names() == []


def test_an_edit_of_an_outdated_version_is_refused(configuration: Configuration) -> None:
    version = changes.entry_version(AUDIENCE)
    configuration.replace("audience", replace(AUDIENCE, segment="s2"), version)
    with pytest.raises(changes.VersionError, match="it has changed since it was read"):
        configuration.replace("audience", replace(AUDIENCE, segment="s3"), version)
    assert configuration.store.bridge().audiences[0].segment == "s2"


def test_an_edit_that_cannot_be_made_is_refused(configuration: Configuration) -> None:
    with pytest.raises(changes.NameTakenError):
        configuration.create("audience", AUDIENCE)
    with pytest.raises(changes.NoEntryError):
        configuration.replace("audience", VIPS)
    with pytest.raises(changes.EntryUsedError):
        configuration.delete("connection", "cdp")
    with pytest.raises(SettingsError, match=r"^mapping: there is no mapping peple. Did you mean people?"):
        configuration.create("audience", replace(VIPS, mapping="peple"))
    assert configuration.store.bridge() == FILE
    assert {entry.who for entry in configuration.store.audit.listed()} == {CLI}


@pytest.mark.parametrize("way", ["apply", "prune", "replace", "delete"])
def test_secrets_of_the_api_go_with_the_last_reference_to_them(configuration: Configuration, way: str) -> None:
    kept, own, granted = "shop-token", "connection.own.1", "oauth:club"
    for name in (kept, own, granted):
        configuration.store.secrets.put(name, Hidden("hush-hush"))
    tokens = {"one": f"store:{own}", "two": f"store:{kept}", "three": granted}
    for name, token in tokens.items():
        connection = CDPConnection(name=name.replace("one", "own"), cdp_provider="source-x")
        configuration.create("connection", replace(connection, api_credentials={"token": token}))
    assert configuration.secrets() == {kept, own, granted}
    for name in ("own", "two", "three"):
        if way == "delete":
            configuration.delete("connection", name)
        elif way == "replace":
            credentials = {"token": CANARY}
            configuration.replace(
                "connection", CDPConnection(name=name, cdp_provider="source-x", api_credentials=credentials)
            )
    if way == "apply":
        mine = tuple(
            CDPConnection(name=name, cdp_provider="source-x", api_credentials={"token": CANARY})
            for name in ("own", "two", "three")
        )
        configuration.apply(replace(FILE, connections=(CONNECTION, *mine)))
    if way == "prune":
        configuration.apply(prune=True)
    assert configuration.secrets() == {kept}


def test_a_secret_to_which_another_account_refers_stays(configuration: Configuration) -> None:
    configuration.store.secrets.put("connection.own.1", Hidden("hush-hush"))
    for name in ("own", "other"):
        credentials = {"token": "store:connection.own.1"}
        configuration.create(
            "connection", CDPConnection(name=name, cdp_provider="source-x", api_credentials=credentials)
        )
    configuration.delete("connection", "own")
    assert configuration.secrets() == {"connection.own.1"}
