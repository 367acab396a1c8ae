"""README and docs: their links, files, commands and bridge.yaml are real."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from cdp_bridge import configuration
from cdp_bridge.cli import bridge
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.mapping.events import FIELDS

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "*/*.md", "plugins/*/*.md")
    for path in ROOT.glob(pattern)
    if not path.relative_to(ROOT).as_posix().startswith(".")
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
A_FILE = re.compile(r"[\w./-]+\.(py|json|toml|ya?ml)|(scripts|tests|core|plugins)/[\w./-]+")
FOLDERS = (ROOT, ROOT / "core" / "cdp_bridge", ROOT / "plugins")


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return [block for name, block in FENCE.findall(text(page)) if name == language]


def commands(page: str) -> Iterator[list[str]]:
    """The arguments of each `cdp-bridge` call in the page's shell examples."""
    shown = (line[2:] for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ "))
    for block in [*blocks(page, "sh"), "\n".join(shown)]:
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
            words.whitespace_split = True
            found = list(words)
            for start, word in enumerate(found):
                if word == "cdp-bridge" and (start == 0 or found[start - 1] in ("|", "&&", ";")):
                    end = next((n for n in range(start, len(found)) if set(found[n]) <= set("|&;<>")), len(found))
                    yield found[start + 1 : end]


def anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


CALLS = [(page, call) for page in PAGES for call in commands(page)]


def test_there_are_pages_and_calls_to_test() -> None:
    assert {"README.md", "CHANGELOG.md", "docs/architecture.md", "docs/onboarding.md", "docker/README.md"} <= set(PAGES)
    assert {call[0] for page, call in CALLS if page == "README.md"} >= {"plan", "apply", "check", "sync", "identity"}


@pytest.mark.parametrize(("page", "call"), CALLS, ids=[f"{page}: {' '.join(call)}" for page, call in CALLS])
def test_a_command_that_is_shown_exists_with_its_options(page: str, call: list[str]) -> None:
    name, *arguments = call
    parent = click.Context(bridge)
    command = bridge.get_command(parent, name)
    assert command is not None
    # Unknown options and missing arguments are a UsageError here.
    assert command.get_help(command.make_context(name, arguments, parent=parent))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text(page))):
        if not target.startswith(("https://", "http://")):
            file, _, anchor = target.partition("#")
            path = (ROOT / page).parent / file if file else ROOT / page
            assert path.exists(), target
            assert not anchor or anchor in anchors(path.resolve().relative_to(ROOT).as_posix()), target


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md", "docs/onboarding.md"])
def test_files_that_are_named_exist(page: str) -> None:
    spans = re.findall(r"`([^`\s]+)`", FENCE.sub("", text(page)))
    named = [span for span in spans if A_FILE.fullmatch(span)]
    made_by_users = {"bridge.yaml", "errors.py", "tests/test_conformance.py"}
    missing = [
        span for span in named if span not in made_by_users and not any((folder / span).exists() for folder in FOLDERS)
    ]
    assert named
    assert missing == []


def test_the_bridge_yaml_of_the_readme_is_valid(tmp_path: Path) -> None:
    (example,) = blocks("README.md", "yaml")
    (tmp_path / "bridge.yaml").write_text(example)
    loaded = configuration.load(tmp_path / "bridge.yaml", Registry())
    (audience,) = loaded.audiences
    assert (audience.segment, audience.destination, len(loaded.mappings["people"])) == ("vip", "meta", 7)
    assert loaded.suppressions == (str(tmp_path / "opted_out.csv"),)


def test_the_bridge_yaml_of_conversions_is_valid(tmp_path: Path) -> None:
    (example,) = blocks("docs/conversions.md", "yaml")
    (tmp_path / "bridge.yaml").write_text(example)
    loaded = configuration.load(tmp_path / "bridge.yaml", Registry())
    assert [one.name for one in loaded.conversions] == ["meta-orders"]
    filled = {one.omniads_field for one in loaded.mappings["orders"]}
    assert {"event_id", "event_name", "occurred_at", "value", "user_agent"} <= filled


def test_every_field_of_an_event_is_described() -> None:
    described = set(re.findall(r"`([a-z_]+)`", text("docs/conversions.md")))
    assert set(FIELDS) <= described


def test_the_answer_of_the_readme_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    import msgspec
    from cdp_bridge.identity import Explanation, explain

    (answer,) = blocks("README.md", "json")
    assert msgspec.json.decode(answer, type=Explanation) == explain("meta", "phone", "0176 12345678", "DE")


def test_the_readme_is_short_and_draws_the_flow() -> None:
    assert len(text("README.md").splitlines()) <= 200
    assert len(blocks("README.md", "mermaid")) == 1


def test_the_order_of_layers_is_that_of_the_linter() -> None:
    import tomllib

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract.get("containers") == ["cdp_bridge"]]
    assert blocks("docs/architecture.md", "text")[0].splitlines() == layers
