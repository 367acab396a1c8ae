"""A segment that the connection does not list is refused where that is known, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from cdp_bridge.configuration import EntryKey, apply, changes, plan
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Activation, Bridge, CDPConnection, CDPSegment, DataMapping, DestinationAccount
from cdp_bridge.model import Connector
from cdp_bridge.settings import SettingsError
from cdp_bridge.store import Store
from msgspec.structs import replace


class Settings(msgspec.Struct, kw_only=True):
    region: str = "us"


AUDIENCE = Activation(name="buyers", connection="cdp", segment="vip", destination="ads", mapping="people")
FILE = Bridge(
    connections=(CDPConnection(name="cdp", cdp_provider="source-x"),),
    destinations=(DestinationAccount(name="ads", connector="destination-x"),),
    mappings={"people": (DataMapping(omniads_field="user_id", cdp_field="id"),)},
)
DAY = 86_400.0


class World:
    """A store with a connection, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_700_000_000.0
        self.store = Store.open(f"sqlite:///{folder}/store.db", clock=lambda: self.now)
        self.registry = Registry(())
        for kind in ("source", "destination"):
            name = f"{kind}-x"
            self.registry.connectors[name] = Connector(name=name, kind=kind, settings=Settings, load="x:y")
        self.apply(FILE)

    def list(self, *names: str, whole: bool = True) -> None:
        listed = [CDPSegment(connection="cdp", segment_id=name, segment_name=f"The {name}") for name in names]
        self.store.record_segments("cdp", listed, whole=whole)

    def plan(self, wanted: Bridge) -> None:
        plan(self.store, self.registry, wanted)

    def apply(self, wanted: Bridge) -> None:
        apply(self.store, plan(self.store, self.registry, wanted), "me")

    def create(self, audience: Activation) -> None:
        changes.create(self.store, self.registry, EntryKey("audience", audience.name), audience, "me")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def wanting(segment: str, **settings: str) -> Bridge:
    connection = replace(FILE.connections[0], api_credentials=dict(settings), connection_status="connected")
    return replace(FILE, connections=(connection,), audiences=(replace(AUDIENCE, segment=segment),))


@pytest.mark.parametrize(
    ("segment", "remedy"),
    [
        ("vipp", r"Did you mean vip\? If it is new"),
        ("VIP", r"Did you mean vip\? If it is new"),
        ("the churned", r"Did you mean churned\? If"),
        ("zzz", "Choose one of those that it lists. If"),
    ],
)
def test_a_segment_that_is_not_listed_is_refused(world: World, segment: str, remedy: str) -> None:
    world.list("vip", "churned")
    said = rf"cdp had no segment {segment} when it was asked for all, at 2023-11-14 22:13 UTC\. {remedy}"
    with pytest.raises(SettingsError, match=f"^audience buyers: {said}"):
        world.plan(wanting(segment))
    with pytest.raises(SettingsError, match=f"^segment: {said}"):
        world.create(replace(AUDIENCE, segment=segment))
    world.plan(wanting("vip"))
    world.create(AUDIENCE)


@pytest.mark.parametrize(
    ("lists", "cut", "seconds"),
    [
        ([], False, 0),
        ([["vip"]], True, 0),
        ([[]], False, 0),
        ([["vip"]], False, DAY + 1),
        ([["vip"], ["vip"]], True, 0),
        ([["vip"], ["vip", "new"]], False, 0),
    ],
    ids=["never listed", "list was cut", "nothing is listed", "list is old", "later list was cut", "has appeared"],
)
def test_what_is_not_known_is_not_refused(world: World, lists: list[list[str]], cut: bool, seconds: float) -> None:
    for number, names in enumerate(lists, 1):
        world.list(*names, whole=not (cut and number == len(lists)))
    world.now += seconds
    world.plan(wanting("new"))


def test_a_segment_that_is_gone_is_refused_for_new_audiences_only(world: World) -> None:
    world.list("vip", "old")
    world.apply(wanting("old"))
    world.list("vip")
    world.plan(wanting("old"))
    more = replace(AUDIENCE, name="more", segment="old2")
    with pytest.raises(SettingsError, match="audience more: cdp had no segment old2"):
        world.plan(replace(wanting("old"), audiences=(*wanting("old").audiences, more)))


def test_the_list_of_another_account_says_nothing(world: World) -> None:
    world.list("vip")
    world.plan(wanting("new", region="eu"))
    world.apply(replace(FILE, connections=()))
    world.apply(FILE)
    world.plan(wanting("new"))
