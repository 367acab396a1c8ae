"""Paths in bridge.yaml: seen from its folder, wherever it is applied; refused where there is no such file."""

import glob
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from cdp_bridge import configuration
from cdp_bridge.configuration.changes import EntryKey
from cdp_bridge.configuration.changes import create as create_entry
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import CDPConnection
from cdp_bridge.files import resolved
from cdp_bridge.model import Connector
from cdp_bridge.sdk import Secret, option
from cdp_bridge.settings import SettingsError, local, schema
from cdp_bridge.store import Store


class Program(msgspec.Struct, tag="program", kw_only=True):
    command: Annotated[str, option("Command", local="program")]


class Manifest(msgspec.Struct, tag="manifest", kw_only=True):
    file: Annotated[str, option("File", local="path")]


class Image(msgspec.Struct, tag="image", kw_only=True):
    file: Annotated[str, option("File in the image")]


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    files: Annotated[str, option("Files", local="pattern")] = "/x"
    folder: Annotated[str | None, option("Folder", local="path")] = None
    listed: Annotated[tuple[str, ...], option("Listed", local="path")] = ()
    inside: tuple[Manifest, ...] = ()
    named: dict[str, Annotated[str, option("Named", local="path")]] = {}
    how: Annotated[Program | Manifest | Image | None, option("How")] = None
    token: Annotated[Secret | None, option("Token")] = None
    plain: str = ""


GIVEN: dict[str, object] = {
    "files": "data/**/[ab]?*.csv",
    "folder": "../out",
    "listed": ["a", "/b"],
    "inside": [{"type": "manifest", "file": "c"}],
    "named": {"d": "d"},
    "how": {"type": "manifest", "file": "m.yaml"},
    "token": "file:secrets/token",
    "plain": "not/a/path",
}
BRIDGE = "connections:\n- {name: x, cdp_provider: source-x, api_credentials: %s}\nsuppressions: [lists/a.csv, /abs]\n"


@pytest.fixture
def registry() -> Registry:
    registry = Registry([])
    registry.connectors["source-x"] = Connector(name="source-x", kind="source", settings=Settings, load="nowhere")
    return registry


def write(file: Path, settings: object) -> Path:
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_text(BRIDGE % msgspec.json.encode(settings).decode())
    return file


def test_every_path_is_seen_from_the_folder_of_the_file(tmp_path: Path, registry: Registry) -> None:
    folder = tmp_path / "pro[j]ect*"
    bridge = configuration.load(write(folder / "bridge.yaml", GIVEN), registry)
    assert bridge.connections[0].api_credentials == {
        "files": f"{glob.escape(str(folder))}/data/**/[ab]?*.csv",
        "folder": f"{folder}/../out",
        "listed": [f"{folder}/a", "/b"],
        "inside": [{"type": "manifest", "file": f"{folder}/c"}],
        "named": {"d": f"{folder}/d"},
        "how": {"type": "manifest", "file": f"{folder}/m.yaml"},
        "token": f"file:{folder}/secrets/token",
        "plain": "not/a/path",
    }
    assert bridge.suppressions == (f"{folder}/lists/a.csv", "/abs")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "program", "command": "source-faker"}, "source-faker"),
        ({"type": "program", "command": "./bin/source-faker"}, "{}/bin/source-faker"),
        ({"type": "program", "command": "/bin/source-faker"}, "/bin/source-faker"),
        ({"type": "image", "file": "etc/m.yaml"}, "etc/m.yaml"),
    ],
)
def test_a_program_on_path_and_what_is_not_of_this_machine_stay(
    tmp_path: Path, registry: Registry, given: dict[str, str], expected: str
) -> None:
    bridge = configuration.load(write(tmp_path / "bridge.yaml", {"how": given}), registry)
    (_, value) = bridge.connections[0].api_credentials["how"].values()
    assert value == expected.format(tmp_path)


def test_a_plan_is_the_same_from_every_folder(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, elsewhere = write(tmp_path / "project" / "bridge.yaml", GIVEN), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "link.yaml").symlink_to(file)
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        configuration.apply(store, configuration.plan(store, registry, configuration.load(file, registry)), "me")
        for folder, named in ((elsewhere, "../project/bridge.yaml"), (file.parent, "bridge.yaml"), (tmp_path, file)):
            monkeypatch.chdir(folder)
            again = configuration.load(Path(named), registry)
            assert configuration.plan(store, registry, again).changes == []
        assert store.bridge().connections[0].api_credentials["folder"] == f"{tmp_path}/project/../out"
    linked = configuration.load(tmp_path / "link.yaml", registry)
    assert linked.suppressions[0] == f"{tmp_path}/lists/a.csv", "beside the link, not beside what it leads to"


def test_through_the_api_a_relative_path_is_refused(tmp_path: Path, registry: Registry) -> None:
    key = EntryKey("connection", "x")
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:

        def create(settings: dict[str, object]) -> None:
            value = CDPConnection(name="x", cdp_provider="source-x", api_credentials=settings)
            create_entry(store, registry, key, value, "me")

        with pytest.raises(SettingsError) as caught:
            create(GIVEN)
        assert [error.place for error in caught.value.errors] == [
            f"api_credentials.{name}"
            for name in ("files", "folder", "listed.0", "inside.0.file", "named.d", "how.file", "token")
        ]
        assert "is a relative path, and nothing says from which folder. Give it whole" in str(caught.value)
        create({"files": "/data/*.csv", "how": {"type": "program", "command": "source-faker"}, "token": "file:/t"})


@pytest.mark.parametrize("name", ["a*b", "[x]", "plain", "q?"])
def test_a_folder_that_looks_like_a_pattern_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "in.csv").touch()
    assert glob.glob(resolved("pattern", "*.csv", tmp_path / name)) == [f"{tmp_path}/{name}/in.csv"]


def test_the_schema_says_which_settings_are_of_this_machine() -> None:
    properties = schema(Settings)["properties"]
    assert {name: part.get("local") for name, part in properties.items()} == {
        "files": "pattern",
        "folder": "path",
        "listed": "path",
        "inside": None,
        "named": None,
        "how": None,
        "token": None,
        "plain": None,
    }
    assert [setting.kind for setting in local(schema(Settings), {"files": "x", "how": {"type": "image"}})] == [
        "pattern"
    ]
