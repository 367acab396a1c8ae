"""The threat model claims nothing without a test that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text()
CLAIMS = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))
ITEMS = {
    *("2.2.1", "2.2.2", "2.3.3", "2.4.1", "4.1.1", "4.1.3", "4.1.5", "4.2.1", "4.4.2", "8.2.1", "11.1.1", "11.2.1"),
    *("11.3.2", "11.3.3", "11.3.4", "11.4.1", "11.5.1", "12.3.1", "12.3.2", "13.1.3", "13.2.4", "13.2.5", "13.3.1"),
    *("13.3.2", "13.3.4", "13.4.2", "13.4.5", "14.2.1", "14.2.4", "14.2.7", "14.3.2", "15.1.2", "15.2.4", "15.2.5"),
    *("15.3.2", "15.4.2", "16.2.5", "16.4.1", "16.5.1", "16.5.3", "16.5.4"),
}
"""What of OWASP ASVS 5.0.0 is claimed, or said to be missing."""


def rows(heading: str) -> list[list[str]]:
    """The cells of each row of the table under a heading."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize(("file", "name"), CLAIMS)
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_item_has_a_row_with_a_test_or_says_that_it_is_missing() -> None:
    table = rows("OWASP ASVS 5.0.0")
    assert {row[0] for row in table} == ITEMS
    for _, _, done, shown in table:
        assert ("::" in shown) != done.startswith(("not yet", "not applicable"))


def test_every_boundary_names_what_holds_and_the_test() -> None:
    table = rows("Boundaries")
    assert len(table) > 10
    for _, _, holds, shown in table:
        place = ROOT / "core" / "cdp_bridge" / holds.strip("`")
        assert place.exists(), holds
        assert "::" in shown
