"""Executes a command that the kernel kills when its parent dies: `die_with_parent.py PARENT_PID COMMAND...`."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Request the signal at the parent's death, which survives exec, then execute the program."""
    parent, program, *arguments = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before the signal was requested.
    if os.getppid() == int(parent):
        os.execv(program, [program, *arguments])  # noqa: S606 - the parent found the program


if __name__ == "__main__":
    main()
