"""Identifies processes across restarts, so that what dead ones left behind can be removed."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path


@cache
def me() -> str:
    """This process: the boot and process namespace of its machine, its number, when it was started."""
    return f"{_where()} {os.getpid()} {_started(os.getpid())}"


def is_dead(owner: str) -> bool:
    """Whether it was a process of this machine that has ended; False for one of another machine."""
    where, process, started = owner.rsplit(" ", 2)
    return where == _where() and _started(int(process)) != started


def _where() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink().name}"


def _started(process: int) -> str:
    """The moment of its start as the kernel counts; empty if there is no such process."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
