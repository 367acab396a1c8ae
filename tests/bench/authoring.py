"""Measures the author's wait: from `cdp-bridge new` to a passed conformance kit, each command a process."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from .process import run

CLI = Path(sys.executable).with_name("cdp-bridge")


def new_to_green(kind: str, folder: Path) -> float:
    """Seconds for a new connector of a kind, made below `folder`; RuntimeError if the kit finds a fault in it."""
    with tempfile.TemporaryDirectory(dir=folder) as below:
        made = run([CLI, "new", kind, "acme", "--in", below], reports=0)
        tested = run([CLI, "test", Path(below, f"{kind}-acme")], reports=0)
    return made.whole + tested.whole
