"""Secrets and people that must not leak, and the places where they would turn up."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

import pytest

from cdp_bridge import settings
from cdp_bridge.model import Probe
from cdp_bridge.testing.harness import AnyHarness, DestinationHarness, Harness, records
from cdp_bridge.testing.people import canaries
from cdp_bridge.testing.relay import Fault

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_NUMBER = re.compile(r"\+?[\d\s().-]{8,}")
# What is shorter may be part of any text; no vendor issues credentials that short.
_MIN_SECRET = 6
_NAME = re.compile(r"(first|last|given|family|full|sur)_?name", re.IGNORECASE)


class Recorder:
    """Records all that a connector writes: logs at every level, both streams, and what a test adds by `record`."""

    def __init__(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        caplog.set_level(logging.DEBUG)
        self._caplog, self._capfd = caplog, capfd
        self._recorded: list[tuple[str, str]] = []

    def record(self, where: str, text: object) -> None:
        """Add a text."""
        self._recorded.append((where, str(text)))

    def probes(self, probes: Collection[Probe]) -> None:
        """Add the findings of a check."""
        for probe in probes:
            self.record(f"the probe {probe.name}", f"{probe.name} {probe.detail} {probe.remedy}")

    def leaks(self, private: Collection[str]) -> list[str]:
        """Where one of the private texts turned up."""
        out, err = self._capfd.readouterr()
        for record in self._caplog.get_records("call"):
            self.record(f"the log of {record.name}", logging.Formatter().format(record))
        recorded = [*self._recorded, ("stdout", out), ("stderr", err)]
        # A name may be a part of some other word.
        pattern = re.compile("|".join(rf"\b{t}\b" if t.isalpha() else re.escape(t) for t in private), re.IGNORECASE)
        return sorted({where for where, text in recorded if private and pattern.search(unquote_plus(text))})


def secrets(harness: Harness) -> set[str]:
    """The credentials in the settings."""
    values = settings.secrets(settings.schema(harness.connector.settings), harness.raw).values()
    return {value for value in values if len(value) >= _MIN_SECRET}


def people(harness: AnyHarness) -> set[str]:
    """Texts that would give away somebody whom the job is about."""
    if isinstance(harness, DestinationHarness):
        return {value for person in range(12) for value in canaries(person)}
    return {text for record in records(harness.anew().read()) for text in _private(record, "")}


def echoes(status: int, private: Collection[str]) -> Fault:
    """An answer that quotes all that is private, as vendors' errors quote what they were sent."""
    message = f"malformed: {' '.join(sorted(private))}"
    error = {"message": message, "error_description": message, "detail": message, "code": "malformed"}
    body = {"error": error, "errors": [error], **error}
    return Fault(status=status, headers={"Content-Type": "application/json"}, body=json.dumps(body).encode())


def _private(value: Any, name: str) -> Iterator[str]:
    """The addresses, numbers and names in a record."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _private(part, str(key))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _private(part, name)
    elif isinstance(value, str):
        is_name = _NAME.search(name) and len(value) >= 5
        if is_name or _ADDRESS.fullmatch(value) or _NUMBER.fullmatch(value):
            yield value
