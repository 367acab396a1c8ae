"""The words of the tree: no retired name, every noun in the glossary, every module with its charter."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from cdp_bridge import entities, model
from cdp_bridge.cli import bridge

ROOT = Path(__file__).parents[2]
RETIRED = {
    "Telling": "RunLogHandler",
    "Reins": "Cancellation",
    "hurry": "shutdown",
    "pulled": "reason",
    "Side": "ConnectorHandle",
    "Seat": "ReadTicket",
    "together": "run_group",
    "blame": "connector_errors",
    "Door": "TcpListener",
    "mortal": "die_with_parent",
    "turns": "read_limiter",
    "asking": "connector_calls",
    "repeats": "idempotency",
    "emptied": "dropping_secrets",
    "bury": "save_dead_letters",
    "exhume": "delete_dead_letters",
    "letters": "dead_letters",
    "blank_members": "mark_in_doubt",
    "Deed": "AuditRecord",
    "carry": "deliver_all",
    "carried": "bench_connectors",
    "carrying": "launcher_run",
    "fanning": "fanout_run",
    "past": "seed_store",
    "Bed": "SyncHarness",
    "bed": "harness",
    "Town": "BridgeSandbox",
    "Siege": "KillCampaign",
    "Street": "PlatformSandbox",
    "Ear": "RecordingProxy",
}
"""Each retired word and the name that took its place."""
MAXIMA = re.compile(r"_?(MOST|LONGEST)(_[A-Z0-9_]+)?")
"""Maxima are `MAX_` and a noun."""
PYTHON = sorted(
    path
    for folder in ("core", "plugins", "tests", "scripts")
    for path in (ROOT / folder).rglob("*.py")
    if not {".venv", "build", "node_modules"} & set(path.parts)
)
PACKAGES = [path for path in PYTHON if path.parts[len(ROOT.parts)] in ("core", "plugins") and "tests" not in path.parts]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
ENTRIES = {
    name
    for first_cell in re.findall(r"^\| ([^|]+) \|", GLOSSARY, re.MULTILINE)
    for name in re.findall(r"`([^`]+)`", first_cell)
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def retired(name: str) -> str | None:
    """What stands for a name that is retired, whole or as a file name's word; None for a good one."""
    if name in RETIRED or name.strip("_") in RETIRED:
        return RETIRED[name.strip("_")]
    return "MAX_*" if MAXIMA.fullmatch(name) else None


def names(path: Path) -> Iterator[tuple[int, str]]:
    """Every identifier of a module with its line; attributes of other libraries are among them."""
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.NAME:
                yield token.start[0], token.string


@pytest.mark.parametrize("path", PYTHON, ids=relative)
def test_no_retired_word_is_a_name(path: Path) -> None:
    found = [f"line {line}: {name} is {instead}" for line, name in names(path) if (instead := retired(name))]
    assert found == []


def test_no_retired_word_is_a_file() -> None:
    words = {
        path: {*path.relative_to(ROOT).with_suffix("").parts, *path.stem.replace("dead_letters", "").split("_")}
        for path in PYTHON
    }
    assert [relative(path) for path, parts in words.items() if any(map(retired, parts))] == []


def test_a_retired_word_is_found() -> None:
    assert [retired(name) for name in ("bury", "_letters", "MOST", "_LONGEST_LINE")] == [
        "save_dead_letters",
        "dead_letters",
        "MAX_*",
        "MAX_*",
    ]
    assert [retired(name) for name in ("dead_letters", "MAX_ROWS", "almost", "TOWN")] == [None] * 4


@pytest.mark.parametrize("name", [*entities.__all__, *model.__all__])
def test_each_entity_and_contract_is_in_the_glossary(name: str) -> None:
    assert name in ENTRIES


@pytest.mark.parametrize("name", sorted(bridge.commands) or bridge.list_commands(None))  # type: ignore[arg-type]
def test_each_command_is_in_the_glossary(name: str) -> None:
    assert name in ENTRIES


@pytest.mark.parametrize("path", PACKAGES, ids=relative)
def test_each_module_says_in_one_sentence_what_it_does(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert text, "a module docstring is missing"
    paragraph = text.split("\n\n")[0].replace("\n", " ")
    assert paragraph.endswith("."), paragraph
