"""`airbyte-cdk connector test`: Airbyte's standard tests, unchanged, pass for every connector of ours.

Those of them that build or start an image (`image_tests`) are left out: they need a Docker daemon, Airbyte's base image
and its public registry.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

HERE, SPECS = Path(__file__).parent, Path(__file__).parents[2] / "connector_specs"
OPTIONS = (
    # What is only advice for now fails too.
    "-Werror::airbyte_cdk.test.standard_tests.DiscoveredCatalogWarning",
    "-m",
    "not image_tests",
)
OF_ALL = ("check", "config_matches_spec")
OF_SOURCES = ("discover", "basic_read", "fail_read_with_bad_catalog")


@pytest.fixture
def package(connector: Any, tmp_path: Path) -> Path:
    """What airbyte-cdk takes for a connector's repository: its facts, its scenarios, a module with its class."""
    name: str = connector.name
    folder, kind = tmp_path / name, name.partition("-")[0]
    folder.mkdir()
    good, spoilt = {"config_path": str(connector.config)}, {"config_path": str(connector.spoilt)}
    tests = {"spec": [good], "connection": [good | {"status": "succeed"}, spoilt | {"status": "failed"}]}
    tests |= {"discovery": [good], "basic_read": [good]} if kind == "source" else {}
    scenarios = {
        "test_strictness_level": "high",
        "acceptance_tests": {section: {"tests": entries} for section, entries in tests.items()},
    }
    (folder / "metadata.yaml").write_text(json.dumps({"data": {"tags": ["language:python"]}}))
    (folder / "acceptance-test-config.yml").write_text(json.dumps(scenarios))
    (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = . {HERE}\n")
    (folder / f"{name.replace('-', '_')}.py").write_text(
        "from executable import Executable\n"
        f"class {name.title().replace('-', '')}(Executable):\n    path = {str(connector.executable)!r}\n"
    )
    return folder


def test_every_connector_is_tried(trials: Sequence[str]) -> None:
    specs = {path.stem for kind in ("source", "destination") for path in SPECS.glob(f"{kind}-*.json")}
    assert specs, "no connector has a published spec"
    assert specs <= set(trials)


def test_every_standard_test_passes(program: Callable[..., Any], connector: Any, package: Path) -> None:
    options = [f"--pytest-arg={option}" for option in OPTIONS]
    ended = program("airbyte-cdk", "connector", "test", package, *options)
    assert ended.code == 0, ended.out + ended.err
    report = ElementTree.parse(package / "build/test-results/standard-tests-junit.xml")
    passed = {case.get("name", "") for case in report.iter("testcase") if not len(case)}
    is_source = connector.name.startswith("source-")
    expected = {f"test_{test}['{connector.config.stem}'" for test in (*OF_ALL, *(OF_SOURCES if is_source else ()))}
    expected |= {f"test_check['{connector.spoilt.stem}'", *(["test_spec"] if is_source else ())}
    assert {name.removesuffix(" Test Scenario]") for name in passed} == expected
