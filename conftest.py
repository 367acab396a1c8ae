"""Which tests a run of this repository collects."""

from __future__ import annotations

from pathlib import Path

import pytest
from cdp_bridge import redact


@pytest.fixture(autouse=True)
def secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test takes for a secret is masked in that test only."""
    monkeypatch.setattr(redact, "_secrets", set(redact._secrets))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the plugins' conformance suites to whoever asks for a report: tests/conformance does, for each of them."""
    is_suite = collection_path.name == "test_conformance.py"
    return True if is_suite and not config.getoption("--must-report") else None
