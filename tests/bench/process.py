"""Runs commands as fresh processes and measures them: wall clock, CPU time, peak memory."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

Command = Sequence[str | Path]


class Measure(Struct, frozen=True, kw_only=True):
    """One run, or the medians of several: seconds of the whole process and of the run inside it, CPU seconds, MB.

    `peak` is the resident memory of all its processes, each at its own worst moment. `reports` are what the processes
    wrote down themselves.
    """

    whole: float
    inside: float
    cpu: float
    peak: float
    reports: tuple[dict[str, Any], ...] = ()


def run(*pipeline: Command, reports: int = 1, keep: Path | None = None) -> Measure:
    """Run commands, each reading the last one's output; RuntimeError with its stderr when one fails.

    Each finds in the environment variable `BENCH_REPORT` the file for a JSON object that says when (`time.monotonic()`)
    it `started` to read and had `ended` its work; `reports` is how many do so. `BENCH_KEEP` names the file `keep`.
    """
    with tempfile.TemporaryDirectory(prefix="cdp-bridge-bench-") as folder:
        began = time.monotonic()
        processes = _start(pipeline, folder, {"BENCH_KEEP": str(keep)} if keep else {})
        usages = [_wait(process, Path(folder, f"{i}.err")) for i, process in enumerate(processes)]
        whole = time.monotonic() - began
        found = tuple(json.loads(path.read_text()) for path in sorted(Path(folder).glob("?")))
    assert len(found) == reports, "a process wrote no report"
    inside = max(r["ended"] for r in found) - min(r["started"] for r in found) if found else whole
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    return Measure(
        whole=whole, inside=inside, cpu=cpu, peak=sum(usage.ru_maxrss for usage in usages) / 1024, reports=found
    )


def medians(times: int, one: Callable[[], Measure]) -> Measure:
    """The median of each figure over several runs, with the last one's reports."""
    runs = [one() for _ in range(times)]
    middle = {name: statistics.median(getattr(r, name) for r in runs) for name in ("whole", "inside", "cpu", "peak")}
    return Measure(**middle, reports=runs[-1].reports)


def _start(pipeline: Sequence[Command], folder: str, extra: dict[str, str]) -> list[subprocess.Popen[bytes]]:
    processes: list[subprocess.Popen[bytes]] = []
    for number, command in enumerate(pipeline):
        source = processes[-1].stdout if processes else None
        last = number == len(pipeline) - 1
        with Path(folder, f"{number}.err").open("wb") as complaints:
            process = subprocess.Popen(
                command,
                stdin=source or subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if last else subprocess.PIPE,
                stderr=complaints,
                env=os.environ | extra | {"BENCH_REPORT": str(Path(folder, str(number)))},
            )
        processes.append(process)
        if source:
            source.close()
    return processes


def _wait(process: subprocess.Popen[bytes], complaints: Path) -> Any:
    # A child's peak begins at the size of the process that started it, so this one must stay small: it imports nothing
    # of the engine.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        what = complaints.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{' '.join(map(str, process.args))} failed ({process.returncode}):\n{what}")  # type: ignore[arg-type]
    return usage
