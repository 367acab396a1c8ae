"""Strict local twins of the vendors' APIs, started as one process by tests, demo and benches."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

__all__ = ["Sandbox", "running"]


@dataclass(frozen=True)
class Sandbox:
    """Where the twins of one process listen: base URLs without trailing slash; `warehouse` as it was asked for."""

    meta: str
    tiktok: str
    google: str
    segment: str | None
    warehouse: str | None
    pid: int


@contextlib.contextmanager
def running(
    *,
    people: int = 0,
    seed: int = 1,
    warehouse: str | None = None,
    **ports: int,
) -> Iterator[Sandbox]:
    """Run the twins in a process of their own for the length of a `with` block.

    `people` is the size of the population all twins know; `ports` are those of the command by name (`meta_port`).
    Raises RuntimeError with what the process wrote to stderr when it ends before it is up.
    """
    command = [sys.executable, "-m", "sandbox.cli", "serve", "--people", str(people), "--seed", str(seed)]
    command += [f"--{name.replace('_', '-')}={port}" for name, port in ports.items()]
    command += ["--warehouse", warehouse] if warehouse else []
    with tempfile.TemporaryFile("w+") as complaints, _process(command, complaints) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            complaints.seek(0)
            raise RuntimeError(f"the sandbox did not start: {complaints.read()[-2000:]}")
        where = json.loads(line)
        platforms = where["meta"], where["tiktok"], where["google"]
        yield Sandbox(*platforms, where.get("segment"), where.get("warehouse"), process.pid)


@contextlib.contextmanager
def _process(command: list[str], complaints: IO[str]) -> Iterator["subprocess.Popen[str]"]:
    # S603: the command is our own interpreter and module, never a caller's text.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True) as process:  # noqa: S603
        try:
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
