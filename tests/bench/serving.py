"""Runs `cdp-bridge serve` as a process and measures its cost."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

CLI = Path(sys.executable).with_name("cdp-bridge")
_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A running server; `key` is that of its first administrator."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.key = Path(self._said("For ten minutes, (.+) has one")).read_text()
        self.url = self._said("Serving at (http://[0-9.:]+)")

    def cpu(self) -> float:
        """Seconds of CPU that it and its queue server have used."""
        return sum(map(_cpu, (self._process.pid, *_children(self._process.pid))))

    def _said(self, pattern: str) -> str:
        assert self._process.stdout
        for line in self._process.stdout:
            if found := re.search(pattern, line):
                return found[1]
        raise RuntimeError("the server did not start")


@contextlib.contextmanager
def serving(folder: Path, store: Path, *options: str) -> Iterator[Server]:
    """A server over that SQLite file until the end of the block."""
    where = ("--store", f"sqlite:///{store}", "--queue-folder", str(folder / "queue"))
    command = [
        str(CLI),
        "serve",
        "--port",
        "0",
        "--health-port",
        "0",
        "--first-key-file",
        str(folder / "first-key"),
        "--workers",
        "0",
        *where,
        *options,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process)
        finally:
            process.terminate()


def _children(process: int) -> list[int]:
    # Each thread has its own.
    threads = Path(f"/proc/{process}/task").iterdir()
    return [int(one) for thread in threads for one in (thread / "children").read_text().split()]


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
