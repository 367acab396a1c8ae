"""The kit's pytest plugin: names the rule under a failed test, and writes the outcome of each as a JSON line."""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from pathlib import Path

import pytest

_MUST = re.compile(r"test_must_(\d+)_(\w+)")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--must-report FILE`: keep only the kit's tests, and write a line for each into FILE."""
    group = parser.getgroup("cdp-bridge", "conformance kit of CDP Bridge")
    group.addoption("--must-report", metavar="FILE", help="run the kit's tests only; a JSON line for each into FILE")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep only the kit's tests when a report of them is asked for."""
    if config.getoption("--must-report"):
        config.hook.pytest_deselected(items=[item for item in items if not _MUST.match(item.name)])
        items[:] = [item for item in items if _MUST.match(item.name)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report how a test of the kit ended; a test that cannot be set up or taken down has failed."""
    report = yield
    target = item.config.getoption("--must-report")
    named = _MUST.match(item.name)
    if named is None:
        return report
    rule = (isinstance(item, pytest.Function) and item.function.__doc__) or ""
    if report.failed and rule:
        report.sections.insert(0, (f"MUST {named[1]} of docs/connector-spec.md", rule))
    if target and (report.when == "call" or report.outcome != "passed"):
        why = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else report.longreprtext
        connector = getattr(item.cls, "connector", None) if isinstance(item, pytest.Function) else None
        line = {
            "connector": getattr(connector, "name", ""),
            "must": int(named[1]),
            "name": item.name,
            "rule": rule,
            "outcome": report.outcome,
            "reason": "" if report.passed else str(why),
        }
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    return report
