"""Kills the process at a named point of the code if a test asks for it by an environment variable.

`CDP_BRIDGE_FAILPOINT=name` kills the process (SIGKILL) at the first pass of that point, `name:3` at the third.
"""

from __future__ import annotations

import os
import signal

NAMES = ("staged", "diffed", "delivery_opened", "written", "delivery_closed", "finished")

_name, _, _count = os.environ.get("CDP_BRIDGE_FAILPOINT", "").partition(":")
_passes_left = int(_count or 1)


def failpoint(name: str) -> None:
    """Kill the process here if the environment asks for it."""
    global _passes_left
    if name == _name:
        _passes_left -= 1
        if _passes_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
