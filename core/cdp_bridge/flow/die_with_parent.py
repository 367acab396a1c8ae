"""Becomes another program that dies together with its parent: run as a script, with the parent's pid and a command."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask Linux for the signal, which outlives exec, then become the program."""
    parent, program, *arguments = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before the signal was asked for.
    if os.getppid() == int(parent):
        os.execv(program, [program, *arguments])  # noqa: S606 - the parent found the program


if __name__ == "__main__":
    main()
