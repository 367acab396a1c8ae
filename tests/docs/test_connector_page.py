"""docs/writing-a-connector.md: its commands print what it shows, and its hooks are those of the code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping

import pytest
from cdp_bridge import hooks

from tests.docs.console import Command, steps
from tests.fresh import ROOT

PAGE = (ROOT / "docs" / "writing-a-connector.md").read_text()
COMMANDS = {number: step for number, step in enumerate(steps(PAGE)) if isinstance(step, Command)}


@pytest.mark.parametrize("number", COMMANDS, ids=[command.line for command in COMMANDS.values()])
def test_a_command_prints_what_is_shown(number: int, outputs: Mapping[int, str]) -> None:
    assert number in outputs, f"a command before it failed:\n{outputs[max(outputs)]}"
    actual, shown = (_plain(text) for text in (outputs[number], COMMANDS[number].shown))
    if not re.fullmatch(".*".join(map(re.escape, shown.split("..."))), actual, re.DOTALL):
        assert actual == shown


def test_every_step_is_found() -> None:
    lines = [command.line for command in COMMANDS.values()]
    assert len(lines) == len(re.findall(r"^\$ ", PAGE, re.MULTILINE))
    for part in ("new destination acme", "new source acme", "test destination-acme", "sync gold", "pip wheel"):
        assert any(part in line for line in lines)


def test_every_hook_has_a_heading_with_its_arguments() -> None:
    specified = {name: value for name, value in vars(hooks).items() if hasattr(value, f"{hooks.PROJECT}_spec")}
    signatures = {f"{name}{inspect.signature(value)}".replace("'", "") for name, value in specified.items()}
    assert set(re.findall(r"^### `(bridge_.*)`$", PAGE, re.MULTILINE)) == signatures != set()


def _plain(text: str) -> str:
    """Without what nobody sees: blanks at the end of lines, empty lines at either end."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")
