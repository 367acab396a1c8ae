"""Waits that take a test no time."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from cdp_bridge import retry


def replaced(monkeypatch: pytest.MonkeyPatch, sleep: Callable[[float], None]) -> None:
    """Call `sleep` in place of `time.sleep`, also between the tries of the core."""
    monkeypatch.setattr(time, "sleep", sleep)
    assert retry.retrying.__kwdefaults__ is not None
    monkeypatch.setitem(retry.retrying.__kwdefaults__, "sleep", sleep)
