"""Named instants at which a test may kill the process; without the environment variable they cost a function call.

`CDP_BRIDGE_FAILPOINT=name` ends the process with SIGKILL the first time it gets there, `name:3` the third time.
"""

from __future__ import annotations

import os
import signal

NAMES = ("staged", "diffed", "delivery_opened", "written", "delivery_closed", "finished")

_name, _, _count = os.environ.get("CDP_BRIDGE_FAILPOINT", "").partition(":")
_passes_left = int(_count or 1)


def failpoint(name: str) -> None:
    """Die here if the environment asks for it."""
    global _passes_left
    if name == _name:
        _passes_left -= 1
        if _passes_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
