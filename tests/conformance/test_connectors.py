"""Every connector of this repository obeys the spec, and docs/connectors.md says what the kit found."""

from __future__ import annotations

from pathlib import Path

import pytest
from cdp_bridge.cli.author import run_kit

from scripts.generated.connectors import FILE, results_in, summaries
from scripts.generated.packages import packages

ROOT = Path(__file__).parents[2]
PACKAGES = {folder.name: {one.name for one in connectors} for folder, connectors in packages()}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_kit_finds_no_fault_and_the_table_says_so(package: str) -> None:
    tests = run_kit(ROOT / "plugins" / package, show=False)
    faults = [f"{test.name}: {test.reason}" for test in tests if test.outcome == "failed"]
    assert not faults, "\n\n".join(faults)
    found = summaries(tests)
    assert found.keys() == PACKAGES[package], "each connector of a package has a suite in its tests/test_conformance.py"
    listed = results_in((ROOT / FILE).read_text(encoding="utf-8"))
    assert found == {name: listed[name] for name in found}, "run scripts/specs"


def test_connectors_are_found() -> None:
    assert {"source-segment", "destination-meta", "airbyte"} <= PACKAGES.keys()
    assert not {"sandbox", "hostile"} & PACKAGES.keys()
