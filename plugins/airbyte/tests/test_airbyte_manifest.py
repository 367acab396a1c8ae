"""Low-code manifests: how the runner gets them, and what is said of bad ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from airbyte_connectors import source as airbyte
from airbyte_connectors.settings import SourceSettings
from cdp_bridge import settings as checked
from cdp_bridge.sdk import ReadRequest

from .conftest import MakeScripted
from .lines import Json, record, status

MANIFEST = """\
version: 6.0.0
type: DeclarativeSource
definitions: {since: 2024-01-01, codes: {429: wait}}
spec:
  connection_specification: {type: object, required: [region], properties: {region: {type: string}}}
"""


class MakeSettings(Protocol):
    """Settings with a manifest of this text."""

    def __call__(self, text: str | bytes | None, **config: Any) -> SourceSettings: ...


@pytest.fixture
def settings(scripted: MakeScripted, tmp_path: Path) -> MakeSettings:
    """Settings with a manifest of this text (None: no file) that a scripted runner gets."""

    def load(text: str | bytes | None, **config: Any) -> SourceSettings:
        path = tmp_path / "manifest.yaml"
        if text is not None:
            path.write_bytes(text.encode() if isinstance(text, str) else text)
        runner = str(scripted(read=[record(id=1), status()]).path)
        connector = {"type": "manifest", "path": str(path), "runner": runner}
        return checked.load(SourceSettings, {"connector": connector, "config": config})

    return load


def test_the_runner_gets_the_manifest_within_the_config(
    settings: MakeSettings, given: Callable[[], list[Json]]
) -> None:
    assert len(list(airbyte.read(settings(MANIFEST, region="eu"), ReadRequest(stream="users")))) == 1
    config = given()[-1]["files"]["config"]
    assert config["region"] == "eu"
    assert config["__injected_declarative_manifest"]["definitions"] == {"since": "2024-01-01", "codes": {"429": "wait"}}


def test_the_config_is_held_against_the_spec_of_the_manifest(settings: MakeSettings) -> None:
    assert [probe.passed for probe in airbyte.check(settings(MANIFEST, region="eu"))] == [True] * 4
    assert "region is missing" in airbyte.check(settings(MANIFEST))[-1].detail


def test_a_manifest_without_a_spec_takes_any_config(settings: MakeSettings) -> None:
    assert airbyte.check(settings("type: DeclarativeSource\n", any="thing"))[-1].passed


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (None, "cannot be read: No such file or directory"),
        ("version: 6\ntype: [}", "line 2 is not YAML"),
        (b"\xff\xfe\x00", "is not YAML in UTF-8"),
        ("type: DeclarativeSource\ntrue: x\n", "is not YAML in UTF-8 with text as keys"),
        ("- 1\n", "is not a manifest"),
        ("type: Other\n", "is not a manifest"),
        ("", "is not a manifest"),
    ],
)
def test_a_bad_manifest_is_told_with_its_place(settings: MakeSettings, text: Any, detail: str) -> None:
    probe = airbyte.check(settings(text))[-1]
    assert not probe.passed
    assert "manifest.yaml: " in probe.detail
    assert detail in probe.detail
    assert probe.remedy
