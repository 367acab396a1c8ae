"""Connectors that nobody here knows: made by `new` in another folder, built as wheels, used in a fresh environment."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.testing.vendor import PEOPLE, SEGMENT, TOKEN, Vendor

from tests.fresh import ROOT, Environment, build

CONNECTORS = {"source-acme": range(17, 26), "destination-acme": range(26, 43)}
"""Each with the MUSTs of its kind."""
LICENCES = """
from importlib.metadata import distributions
for one in distributions():
    about = one.metadata
    stated = [about.get("License-Expression"), about.get("License"), *(about.get_all("Classifier") or [])]
    print(about["Name"], *(text.replace("\\n", " ") for text in stated if text))
"""
BRIDGE = """\
connections:
  - {{name: crm, cdp_provider: source-acme, api_credentials: {{token: env:ACME_TOKEN, base_url: {url}}}}}
destinations:
  - {{name: lists, connector: destination-acme, settings: {{token: env:ACME_TOKEN, base_url: {url}}}}}
mappings:
  people:
    - {{omniads_field: user_id, cdp_field: id}}
    - {{omniads_field: email, cdp_field: emails}}
audiences:
  - {{name: vip, connection: crm, segment: {segment}, destination: lists, mapping: people}}
"""


@dataclass(frozen=True)
class Place:
    """A folder far from the repository, and an environment in which only wheels are installed."""

    folder: Path
    environment: Environment

    def run(self, *command: str) -> str:
        """What a command that must succeed writes to stdout."""
        variables = self.environment.variables | {"ACME_TOKEN": TOKEN, "CDP_BRIDGE_STORE": "sqlite:///store.db"}
        done = subprocess.run(command, cwd=self.folder, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def json(self, *command: str) -> Any:
        return json.loads(self.run(*command))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Where the bridge and both connectors are installed; the connectors' packages are in the folder."""
    place = Place(folder := tmp_path_factory.mktemp("elsewhere"), Environment.make(folder / "environment"))
    place.environment.install(f"{build(ROOT / 'core', folder / 'core')}[author]")
    place.run("cdp-bridge", "new", "source", "acme")
    place.run("cdp-bridge", "new", "destination", "acme")
    place.environment.install(*(build(folder / name, folder / f"{name}-wheel") for name in CONNECTORS))
    return place


@pytest.fixture
def vendor(place: Place) -> Iterator[Vendor]:
    """The vendor of both connectors, and a settings.json for it."""
    with Vendor().running() as vendor:
        settings = {"token": "env:ACME_TOKEN", "base_url": vendor.url}
        (place.folder / "settings.json").write_text(json.dumps(settings))
        yield vendor


def test_both_are_listed_beside_a_core_that_is_not_ours(place: Place) -> None:
    listed = place.json("cdp-bridge", "connectors", "--json")
    assert listed["failures"] == []
    assert {(one["name"], one["version"]) for one in listed["connectors"]} == {(name, "0.1.0") for name in CONNECTORS}
    where = "import cdp_bridge, source_acme; print(cdp_bridge.__file__, source_acme.__file__)"
    assert place.run("python", "-c", where).count("site-packages") == 2


def test_what_the_extra_author_brings_is_not_under_the_gpl(place: Place) -> None:
    stated = place.run("python", "-c", LICENCES).splitlines()
    assert {"cdp-bridge", "Jinja2", "pytest"} <= {line.split()[0] for line in stated}
    gpl = [line.split()[0] for line in stated if re.search(r"(?<!L)GPL|\bGNU (Affero )?General", line)]
    assert gpl == []


@pytest.mark.parametrize("name", CONNECTORS)
def test_the_bridge_and_the_executable_know_its_settings(name: str, place: Place) -> None:
    printed = place.run("cdp-bridge", "spec", name)
    assert (place.folder / name / "connector_specs" / f"{name}.json").read_text() == printed
    assert place.json(name, "spec")["spec"] == json.loads(printed)


@pytest.mark.parametrize("name", CONNECTORS)
def test_it_is_checked_and_discovered(name: str, place: Place, vendor: Vendor) -> None:
    for probe in place.json("cdp-bridge", "check", name, "--config", "settings.json", "--json"):
        assert probe["passed"]
    assert place.json(name, "check", "--config", "settings.json")["connectionStatus"] == {"status": "SUCCEEDED"}
    discovered = place.json("cdp-bridge", "discover", name, "--config", "settings.json")
    assert discovered == place.json(name, "discover", "--config", "settings.json")


def test_bridge_yaml_keeps_a_list_equal_to_a_segment(place: Place, vendor: Vendor) -> None:
    (place.folder / "bridge.yaml").write_text(BRIDGE.format(url=vendor.url, segment=SEGMENT))
    place.run("cdp-bridge", "apply", "-f", "bridge.yaml", "--yes")
    (log,) = place.json("cdp-bridge", "sync", "vip", "--json")
    assert (log["status"], log["adds"]) == ("succeeded", PEOPLE)
    vendor.churn()
    (log,) = place.json("cdp-bridge", "sync", "vip", "--json")
    assert (log["status"], log["adds"], log["changes"], log["removes"]) == ("succeeded", 2, 1, 2)
    (held,) = vendor.held.values()
    emails = [email for person in vendor.people.values() for email in person["emails"]]
    assert sorted(held.values()) == sorted([hashlib.sha256(email.encode()).hexdigest()] for email in emails)


def test_its_executable_reads(place: Place, vendor: Vendor) -> None:
    stream = {"name": "people", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    chosen = {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"}
    (place.folder / "catalog.json").write_text(json.dumps({"streams": [chosen]}))
    told = place.run("source-acme", "read", "--config", "settings.json", "--catalog", "catalog.json").splitlines()
    found = [line["record"]["data"] for line in map(json.loads, told) if line["type"] == "RECORD"]
    assert {row["id"] for row in found} == vendor.people.keys()


@pytest.mark.parametrize(("name", "musts"), CONNECTORS.items())
def test_the_kit_is_green(name: str, musts: range, place: Place) -> None:
    told = place.json("cdp-bridge", "test", name, "--json")
    assert (told["connector"], told["failed"]) == (name, 0)
    assert {test["must"] for test in told["tests"]} == {*range(1, 17), *musts}
