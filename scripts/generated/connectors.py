"""docs/connectors.md: every connector with what it promises, what it takes, and what the conformance kit says of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any

from cdp_bridge import settings
from cdp_bridge.cli.author import Test, run_kit
from cdp_bridge.connectors.loading import implementation
from cdp_bridge.errors import BridgeError, ConfigError
from cdp_bridge.model import Catalog, Connector, Limits, Stream

from .packages import packages

FILE = Path("docs/connectors.md")
UNKNOWN = "not run"

INTRODUCTION = """\
# Connectors

`scripts/specs` writes this page: it asks each connector, and runs the conformance kit on it.

| connector | kind | delivery | limits | identifiers or streams | suite |
| --- | --- | --- | --- | --- | --- |
"""
LEGEND = """\

| column | says |
| --- | --- |
| delivery | what a repeated batch does: nothing (`idempotent`), it replaces (`upsert`), it counts twice (`append`) |
| limits | what one account takes: members and bytes in a batch, requests in a window |
| identifiers | the columns of its identity profile that a destination takes; if the profile is a setting, the default |
| streams | what a source reads |
| suite | how many [rules](connector-spec.md) the conformance kit has shown to hold, and which cannot apply |

`cdp-bridge test PATH` runs the kit on any package. How to write one: [Writing a connector](writing-a-connector.md).
"""


def page(results: Mapping[str, str]) -> str:
    """The whole of docs/connectors.md; `results` are the words on each connector's suite."""
    found = [(folder.name, one) for folder, connectors in packages() for one in connectors]
    rows = [_row(folder, one, results.get(one.name, UNKNOWN)) for folder, one in sorted(found, key=_by_kind)]
    return INTRODUCTION + "".join(rows) + LEGEND


def results_in(text: str) -> dict[str, str]:
    """The words on each suite that a page has."""
    return dict(re.findall(r"^\| \[([\w-]+)\].* \| (.*?) \|$", text, re.MULTILINE))


def results() -> dict[str, str]:
    """The words on each suite, from running the kit on every package; ConfigError of one without, or with a fault."""
    tests = [test for folder, _ in packages() for test in run_kit(folder, show=False)]
    faults = "\n".join(f"  {test.connector}: {test.name}: {test.reason}" for test in tests if test.outcome == "failed")
    if faults:
        raise ConfigError(f"the page lists no connector that fails its suite:\n{faults}")
    return summaries(tests)


def summaries(tests: Iterable[Test]) -> dict[str, str]:
    """How the suite of each connector ended."""
    outcomes: dict[str, dict[int, set[str]]] = {}
    for test in tests:
        outcomes.setdefault(test.connector, {}).setdefault(test.must, set()).add(test.outcome)
    return {name: _summary(musts) for name, musts in outcomes.items()}


def _summary(outcomes: Mapping[int, Set[str]]) -> str:
    """In MUSTs: one with several tests applies if any of them does."""
    skipped = [must for must, ended in outcomes.items() if ended == {"skipped"}]
    words = [f"{len(outcomes) - len(skipped)} passed"]
    words += [f"{len(skipped)} not applicable ({_listed(skipped)})"] if skipped else []
    return ", ".join(words)


def _by_kind(found: tuple[str, Connector]) -> tuple[bool, str]:
    return found[1].kind == "destination", found[1].name


def _row(folder: str, connector: Connector, result: str) -> str:
    is_source = connector.kind == "source"
    cells = (
        f"[{connector.name}](../plugins/{folder}/README.md)",
        connector.kind,
        "" if is_source else connector.delivery,
        "" if is_source else _limits(connector.limits),
        _offers(connector),
        result,
    )
    return f"| {' | '.join(cells)} |\n"


def _limits(limits: Limits) -> str:
    words = f"{limits.rows:,} members, {limits.bytes:,} bytes"
    return f"{words}, {limits.requests:,} requests in {limits.seconds:,} s" if limits.requests else words


def _offers(connector: Connector) -> str:
    """Identifiers or streams under settings that nobody has; a source may need real ones to know its streams."""
    try:
        example = settings.load(connector.settings, _example(settings.schema(connector.settings)))
        catalog: Catalog = implementation(connector).discover(example)
    except BridgeError:
        return "as its settings say"
    if connector.kind == "source":
        return _quoted(stream.name for stream in catalog.streams)
    return "; ".join(_identifiers(stream) for stream in catalog.streams if stream.profile)


def _identifiers(stream: Stream) -> str:
    return (
        f"{_quoted(stream.matching_keys)} of `{stream.profile}`"
        if stream.matching_keys
        else f"all of `{stream.profile}`"
    )


def _example(schema: Mapping[str, Any]) -> Any:
    """A value that a settings schema accepts: as little as possible, but every credential, since these open streams."""
    for given in ("const", "default"):
        if given in schema:
            return schema[given]
    for listed in ("examples", "enum"):
        if listed in schema:
            return schema[listed][0]
    if "oneOf" in schema:
        return _example(schema["oneOf"][0])
    needed = schema.get("required", ())
    if schema.get("type") == "object":
        parts = schema.get("properties", {}).items()
        return {name: _example(part) for name, part in parts if name in needed or part.get("airbyte_secret")}
    return "example" if schema.get("type") == "string" else schema.get("minimum", 1)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _listed(musts: Iterable[int]) -> str:
    return ", ".join(str(must) for must in sorted(musts))
