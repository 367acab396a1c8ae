"""Every connector of this repository obeys the spec, and docs/connectors.md says how far."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.generated.connectors import FILE, results_in, run_kit, summary
from scripts.generated.packages import packages

ROOT = Path(__file__).parents[2]
PACKAGES = {folder.name: {one.name for one in connectors} for folder, connectors in packages()}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_kit_finds_no_fault_and_the_table_says_what_it_found(package: str) -> None:
    report = run_kit(ROOT / "plugins" / package)
    faults = [
        f"{line['name']}: {line['reason']}"
        for lines in report.values()
        for line in lines
        if line["outcome"] == "failed"
    ]
    assert not faults, "\n\n".join(faults)
    assert report.keys() == PACKAGES[package], f"{package} has connectors without a suite in tests/test_conformance.py"
    listed = results_in((ROOT / FILE).read_text())
    found = {name: summary(lines) for name, lines in report.items()}
    assert found == {name: listed[name] for name in found}, f"run scripts/specs, {FILE} is not current"


def test_connectors_are_found() -> None:
    assert {"source-segment", "destination-meta", "airbyte"} <= PACKAGES.keys()
    assert not {"sandbox", "hostile"} & PACKAGES.keys()
