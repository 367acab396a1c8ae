"""Closes the ports of this host to containers by iptables; Docker only separates them from other networks."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from functools import cache

log = logging.getLogger(__name__)

REMEDY = (
    "Run the bridge as root with iptables installed, which closes the host by itself, or let the firewall of this "
    "host drop what comes in at the interfaces cdpb+, but for the proxy's port 13128 and the ports of warehouses"
)


def close(interface: str, address: str, ports: Iterable[int]) -> None:
    """Drop all that comes in at an interface, except to these TCP ports of an address.

    Without the right to do so nothing is changed, which is logged once.
    """
    allowed = [f"-p tcp -d {address} --dport {port} -j ACCEPT" for port in ports]
    # Each is inserted before the others, so the last one is evaluated first.
    rules = [f"-I INPUT -i {interface} {rule}" for rule in ("-j DROP", *allowed)]
    if not _restore(rules):
        _warn_once()


def open_again(interface: str) -> None:
    """Remove the rules of an interface, if there are any."""
    lines = (_run(["iptables", "-w", "-S", "INPUT"]) or "").splitlines()
    if rules := [f"-D{line.removeprefix('-A')}" for line in lines if f" -i {interface} " in line]:
        _restore(rules)


def _restore(rules: Iterable[str]) -> bool:
    """Apply all rules at once; False if none could be."""
    return _run(["iptables-restore", "-w", "--noflush"], "\n".join(["*filter", *rules, "COMMIT", ""])) is not None


def _run(command: Sequence[str], text: str = "") -> str | None:
    """The output of a system program; None if it fails or is missing."""
    # It is not on every PATH.
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        return None
    done = subprocess.run([program, *command[1:]], input=text, capture_output=True, text=True, check=False)  # noqa: S603
    return None if done.returncode else done.stdout


@cache
def _warn_once() -> None:
    log.warning("services of this host that listen on all addresses can be reached from containers. %s", REMEDY)
