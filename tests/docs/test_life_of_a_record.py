"""The steps that docs/architecture.md follows one record through are functions of the modules that it names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
LIFE = PAGE.partition("## The life of one record")[2].partition("\n## ")[0]


def steps() -> Iterator[tuple[str, str]]:
    """Each function that stands right behind a module, with that module."""
    for module, functions in re.findall(r"`([\w/]+\.py)`((?:,? `\w+`)+)", LIFE):
        for function in re.findall(r"\w+", functions):
            yield module, function


def test_there_are_steps_to_follow() -> None:
    numbers = [int(number) for number in re.findall(r"^\| (\d+) \|", LIFE, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 12


@pytest.mark.parametrize(("module", "function"), sorted(set(steps())))
def test_a_function_that_is_named_is_there(module: str, function: str) -> None:
    tree = ast.parse((ROOT / "core" / "cdp_bridge" / module).read_text(encoding="utf-8"))
    assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
