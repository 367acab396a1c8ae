"""A platform that the core has never heard of: one distribution with its connector and its identity profile."""

import hashlib
import json
from pathlib import Path

import pytest

from .conftest import Cli, Site

PLUGIN = """
from contextlib import contextmanager
from pathlib import Path
from cdp_bridge.sdk import AudienceRef, Catalog, Connector, Outcome, Stream, hookimpl
from msgspec import Struct, json

class Settings(Struct, kw_only=True, frozen=True):
    notes: str

@hookimpl
def bridge_connectors():
    return [Connector(name="destination-orkut", kind="destination", settings=Settings, load="orkut_ads")]

def check(settings):
    return []

def discover(settings):
    return Catalog((
        Stream(name="friends", profile="orkut", operations=("add", "remove")),
        Stream(name="rivals", profile="orkut", operations=("add", "remove")),
    ))

@contextmanager
def open(settings):
    yield Writer(settings)

class Writer(Struct):
    settings: Settings

    def ensure(self, audience):
        return AudienceRef(id=audience.object, account="1")

    def write(self, batch):
        with Path(self.settings.notes).open("ab") as notes:
            notes.write(json.encode([batch.audience.id, batch.operation, batch.identifiers]) + b"\\n")
        return Outcome()
"""
PROFILE = {
    "name": "orkut",
    "version": "1",
    "source": "its help pages, long gone",
    "fields": {
        "email": {
            "send": "hash",
            "steps": ["lower", "plain_local_part"],
            "checks": {"email": "invalid"},
            "source": "p 3",
        },
        "external_id": {"send": "clear", "steps": [], "checks": {}, "source": "p 4"},
    },
    "identifying": ["email"],
}
YAML = """
connections:
  - {{name: shop, cdp_provider: source-shop, api_credentials: {{script: {folder}/script.jsonl}}}}
destinations:
  - {{name: orkut, connector: destination-orkut, settings: {{notes: {folder}/notes}}}}
mappings:
  people:
    - {{omniads_field: user_id, cdp_field: user_id}}
    - {{omniads_field: email, cdp_field: email}}
    - {{omniads_field: phone, cdp_field: phone}}
    - {{omniads_field: external_id, cdp_field: user_id}}
audiences:
  - {{name: vips, connection: shop, segment: vip, stream: members, destination: orkut, mapping: people{object}}}
suppressions: [{folder}/gone]
"""


@pytest.fixture
def folder(shop: Site, tmp_path: Path) -> Path:
    """A folder with what bridge.yaml names; the platform is installed beside the shop."""
    package = shop.path / "orkut_ads"
    (package / "profiles").mkdir(parents=True)
    (package / "__init__.py").write_text(PLUGIN)
    (package / "profiles" / "orkut.json").write_text(json.dumps(PROFILE))
    shop.install("cdp-bridge-destination-orkut", {}, points="[cdp_bridge]\ndestination-orkut = orkut_ads\n")
    rows = [
        {"user_id": f"u{number}", "email": f"J.{number}+x@example.com", "phone": f"+1415555010{number}"}
        for number in range(3)
    ]
    (tmp_path / "script.jsonl").write_text(json.dumps({"rows": rows}))
    (tmp_path / "gone").write_text("J.1+x@example.com\n+14155550102\n")
    return tmp_path


def configure(folder: Path, cli: Cli, **sync: str) -> None:
    more = "".join(f", {name}: {value}" for name, value in sync.items())
    (folder / "bridge.yaml").write_text(YAML.format(folder=folder, object=more))
    assert cli("apply", "-f", folder / "bridge.yaml", "--yes").code == 0


def test_its_profile_explains_values(folder: Path, cli: Cli) -> None:
    answer = cli("identity", "--profile", "orkut", stdin=b'{"field":"email","raw":"J.Doe+x@Example.com"}')
    assert json.loads(answer.out)["value"] == hashlib.sha256(b"jdoe@example.com").hexdigest()
    assert ", orkut, " in cli("identity", "--profile", "myspace").err


def test_people_are_synced_into_the_object_that_is_named(folder: Path, cli: Cli) -> None:
    configure(folder, cli)
    refused = cli("sync", "vips")
    assert "audiences.vips.object: name one of the objects that take people. There are: friends, rivals" in refused.err
    configure(folder, cli, object="rivals")
    (log,) = cli("sync", "vips", "--json").json
    assert (log["status"], log["adds"], log["funnel"]["dropped"]) == ("succeeded", 1, {"suppressed": 2})
    (line,) = (folder / "notes").read_text().splitlines()
    # Neither the phone, which the profile does not take, nor the id, whose policy is hash.
    assert json.loads(line) == ["rivals", "add", {"email": [[hashlib.sha256(b"j0@example.com").hexdigest()]]}]


def test_a_broken_profile_is_listed_and_harms_nothing_else(folder: Path, shop: Site, cli: Cli) -> None:
    (shop.path / "orkut_ads" / "profiles" / "orkut.json").write_text("{")
    configure(folder, cli, object="friends")
    listed = cli("connectors", "--json").json
    (failure,) = [one for one in listed["failures"] if one["plugin"] == "destination-orkut"]
    assert failure["reason"].startswith("its profile orkut cannot be used")
    assert "destination-orkut" in {one["name"] for one in listed["connectors"]}
    assert "no identity profile orkut. There are: clear, generic" in cli("sync", "vips").err
