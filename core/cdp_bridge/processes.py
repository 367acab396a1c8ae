"""Names processes so that any process of the same machine can tell later whether one has ended."""

from __future__ import annotations

import os
import re
import socket
from functools import cache
from pathlib import Path

_NAME = re.compile(r"process (?P<number>\d+) on .+ \(started (?P<started>\d+), (?P<machine>.+)\)")


def this_process() -> str:
    """The name of this process: `process NUMBER on HOST (started TICKS, BOOT NAMESPACE)`.

    Numbers are used again; start, boot and process namespace tell two processes of one number apart. Where the system
    does not tell them, the name ends with the host.
    """
    return _name(os.getpid())


def is_dead(name: str) -> bool:
    """Whether it names a process of this machine that has ended; False if that cannot be told from here."""
    match = _NAME.fullmatch(name)
    if match is None or match["machine"] != _machine():
        return False
    number = int(match["number"])
    started = _started(number)
    return started != match["started"] if started else not _exists(number)


def readable(name: str) -> str:
    """The part of a name that means something to people: `process NUMBER on HOST`."""
    return name.partition(" (")[0]


@cache
def _name(number: int) -> str:
    started, machine = _started(number), _machine()
    known = f" (started {started}, {machine})" if started and machine else ""
    return f"process {number} on {socket.gethostname()}{known}"


@cache
def _machine() -> str:
    """The boot of this machine and the namespace in which process numbers count; empty if the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink().name}"
    except OSError:
        return ""


def _started(number: int) -> str:
    """When the process was started, in the kernel's ticks since boot; empty if the system does not tell."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _exists(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # It is somebody else's; /proc may hide it.
        return True
    return True
