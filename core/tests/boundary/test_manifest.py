"""A manifest says all that the code of a package does, and settings are the same by either."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis
import pytest
from cdp_bridge import settings
from cdp_bridge.connectors import manifest
from cdp_bridge.connectors.handle import open_connector
from cdp_bridge.connectors.launch.docker import find_image
from cdp_bridge.connectors.launch.hardening import Box
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.connectors.trust import OWN, Trust
from cdp_bridge.errors import ConfigError
from cdp_bridge.files import packages
from cdp_bridge.model import Connector
from cdp_bridge.secrets import Resolver, Secret
from cdp_bridge.settings import SettingsError
from cdp_bridge.testing import SourceSuite
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from .conftest import Cli, Site

ROOT = Path(__file__).parents[3]
CODED = Registry().connectors
DESCRIBED = {
    connector.name: connector
    for module in sorted({manifest.package_of(connector) for connector in CODED.values()})
    if packages.folder(packages.package_of(module)).joinpath(manifest.FILE).is_file()  # type: ignore[arg-type]
    for connector in manifest.read(module)
}
SECRETS = Resolver(plugins=lambda reference: Secret(reference))
Schema = Mapping[str, Any]
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.text("a1:/.-", max_size=5), st.just([]), st.just({}), st.just([1])
)


def test_all_of_ours_are_described_but_those_that_are_there_to_be_refused() -> None:
    assert CODED.keys() - DESCRIBED.keys() == {"source-hostile", "destination-hostile"}


def test_our_own_distributions_are_those_of_the_repository() -> None:
    projects = [tomllib.loads(path.read_text())["project"] for path in ROOT.glob("plugins/*/pyproject.toml")]
    names = {project["name"] for project in projects if "cdp_bridge" in project.get("entry-points", {})}
    assert names - {"cdp-bridge-hostile"} == set(OWN) - {"cdp-bridge"}


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_manifest_says_what_the_code_says(name: str) -> None:
    said = manifest.description(DESCRIBED[name])
    assert said == manifest.description(CODED[name])
    assert said["settings"] == json.loads(json.dumps(settings.schema(CODED[name].settings)))
    assert DESCRIBED[name].settings is not CODED[name].settings


def values(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that are mostly those of a schema, and sometimes not."""
    return st.one_of(_fitting(schema), _fitting(schema), _fitting(schema), ANYTHING)


def _fitting(schema: Schema) -> st.SearchStrategy[Any]:
    if "const" in schema:
        return st.just(schema["const"])
    listed = [
        *schema.get("enum", ()),
        *schema.get("examples", ()),
        *([schema["default"]] if "default" in schema else []),
    ]
    known = [st.sampled_from(listed)] if listed else []
    if "oneOf" in schema:
        return st.one_of(*known, *map(_fitting, schema["oneOf"]))
    match schema.get("type"):
        case "object":
            parts = {name: values(part) for name, part in schema.get("properties", {}).items()}
            needed = {name: part for name, part in parts.items() if name in schema.get("required", ())}
            optional = {name: part for name, part in parts.items() if name not in needed}
            return st.fixed_dictionaries(needed, optional=optional | {"unheard": ANYTHING})
        case "array":
            return st.lists(values(schema.get("items", {})), max_size=2)
        case "integer" | "number":
            low, high = schema.get("minimum", 0), schema.get("maximum", 9)
            return st.one_of(*known, st.integers(low - 1, high + 1))
        case "boolean":
            return st.booleans()
    texts = ["a", "env:HOME", "https://example.com", "act_1", "1", "v1.0", "tab", ","]
    return st.one_of(*known, st.sampled_from(texts))


def taken(settings_type: Any, raw: Any) -> tuple[Any, set[str]]:
    """The settings, or the places that are refused."""
    try:
        return settings.load(settings_type, raw, SECRETS), set()
    except SettingsError as error:
        return None, {wrong.place for wrong in error.errors}


@pytest.mark.parametrize("name", DESCRIBED)
def test_the_same_settings_are_taken(name: str) -> None:
    coded, described = CODED[name].settings, DESCRIBED[name].settings

    @hypothesis.settings(deadline=None)
    @given(_fitting(settings.schema(coded)))
    def are_the_same(raw: Any) -> None:
        by_code, wrong = taken(coded, raw)
        by_manifest, wrong_too = taken(described, raw)
        assert wrong == wrong_too
        if by_code is not None:
            unsealed = settings.unseal(coded, settings.seal(by_manifest))
            assert settings.seal(unsealed) == settings.seal(by_code)

    are_the_same()


def test_a_setting_may_be_named_as_python_names_nothing() -> None:
    schema = {
        "type": "object",
        "properties": {"base-url": {"default": "https://a.example"}, "class": {"type": "string"}},
    }
    loaded = settings.load(settings.described(schema), {"class": "x"})
    assert settings.seal(loaded) == settings.seal(settings.load(settings.described(schema), {"class": "x"}))
    assert b"https://a.example" in settings.seal(loaded)


def test_code_that_is_not_trusted_is_opened_with_a_launcher_only(site: Site) -> None:
    text = (ROOT / "core/tests/boundary/installed/shop.py").read_text()
    site.install("cdp-bridge-shop", {"shop": text})
    (site.path / "shop.py").unlink()
    (site.path / "shop").mkdir()
    (site.path / "shop" / "__init__.py").write_text("raise AssertionError('imported')")
    connector = Connector(name="source-shop", kind="source", settings=DESCRIBED["source-file"].settings, load="shop.a")
    (site.path / "shop" / manifest.FILE).write_text(manifest.written([connector]))
    registry = Registry(trust=Trust(()))
    found = registry.connector("source-shop", "source")
    with pytest.raises(ConfigError, match="cdp-bridge-shop, which brings it, is not trusted") as refused:
        open_connector(registry, Resolver(), found, {"path": "/x"})
    assert refused.value.place == "source-shop"
    open_connector(registry, Resolver(), found, {"path": "/x"}, launcher=registry.launcher("local")).close()


def test_spec_prints_the_manifest_of_the_package(cli: Cli) -> None:
    printed = cli("spec", "destination-airbyte", "--manifest")
    assert printed.out == (ROOT / "plugins/airbyte/airbyte_connectors/connectors.json").read_text()


def test_the_kit_finds_a_manifest_that_is_out_of_date(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("new", "source", "late", "--in", tmp_path).code == 0
    made = tmp_path / "source-late"
    monkeypatch.syspath_prepend(str(made))

    class Suite(SourceSuite):
        connector = import_module("source_late").CONNECTOR

    request: Any = SimpleNamespace(path=made / "tests" / "test_conformance.py")
    schema = settings.schema(Suite.connector.settings)
    Suite().test_must_03_settings_stay_compatible(schema, request)
    file = made / "source_late" / manifest.FILE
    file.write_text(file.read_text().replace("late.example", "early.example"))
    with pytest.raises(AssertionError, match=r"cdp-bridge spec source-late --manifest > source_late/connectors.json"):
        Suite().test_must_03_settings_stay_compatible(schema, request)


def test_a_connector_may_name_its_image() -> None:
    asked: list[str] = []

    class Engine:
        def inspect_image(self, name: str) -> dict[str, str]:
            asked.append(name)
            return {"Id": "sha256:0"}

    named = replace(DESCRIBED["source-segment"], image="registry.example/segment:1")
    for connector in (named, DESCRIBED["source-segment"]):
        find_image(Engine(), Box(), connector)
    assert asked == ["registry.example/segment:1", "cdp-bridge-source-segment"]
