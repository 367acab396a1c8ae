"""The results: one table for the terminal and for docs/benchmarks.md, or JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import asdict
from rich.console import Console
from rich.table import Table

from .bench import Row

COLUMNS = ("figure", "what", "result", "target", "", "run s", "process s", "CPU s", "peak MB")
_PAGE = """\
# Benchmarks

Written by `scripts/bench`, {when} UTC, on {machine};
load average before: {load:.1f}. Medians of three runs (cold starts: seven), each a fresh process. *run* is from the
first read to the last commit, *process* the whole with start-up, *CPU* that of all its processes, *peak* their resident
memory, each process at its worst moment. Rates and ratios are of *run*; seconds are of *process*.

{table}

- Everybody has seven identifiers: e-mail, phone, first and last name, city, postal code, country. The source is a
  Parquet file, the ledger a SQLite file with full synchronisation, batches keep Meta's limits (10,000 rows, 1 MB).
- `engine` and `million` build Meta's payload and drop it; `meta` sends it to the twin on loopback, on the same cores.
- `fanout` reads one segment from the warehouse of the Segment twin once for all platforms; each platform's
  twin is a process of its own. TikTok's pace of 8 requests a second is lifted at both ends: for 100,000 members it
  takes 12 s by itself.
- Peers read the same file, map, normalise and hash the same and build the same payload (compared hash by hash), in
  batches of 10,000. They keep no ledger, compare nothing, and survive no crash.
"""


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as JSON values."""
    return [
        {name: value for name, value in asdict(row).items() if name != "run"}
        | {"met": row.met}
        | {name: getattr(row.run, name) for name in ("inside", "whole", "cpu", "peak") if row.run}
        for row in rows
    ]


def show(console: Console, rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table(*COLUMNS)
    for row in rows:
        table.add_row(*_cells(row), style="red" if row.met is False else "")
    console.print(table)


def page(rows: Sequence[Row], load: float) -> str:
    """docs/benchmarks.md; `load` is the load average before the first run."""
    cells = ([cell.replace("|", "\\|") for cell in _cells(row)] for row in rows)
    table = "\n".join(f"| {' | '.join(line)} |" for line in (COLUMNS, ("---",) * len(COLUMNS), *cells))
    machine = f"{os.cpu_count()} cores ({_processor()}), Python {platform.python_version()}"
    return _PAGE.format(when=f"{datetime.now(UTC):%Y-%m-%d %H:%M}", machine=machine, load=load, table=table)


def _cells(row: Row) -> tuple[str, ...]:
    sign = ">=" if row.at_least else "<="
    target = "" if row.target is None else f"{sign} {_number(row.target, row.unit)}"
    verdict = {None: "", True: "met", False: "MISSED"}[row.met]
    run = row.run
    measures = (f"{run.inside:.2f}", f"{run.whole:.2f}", f"{run.cpu:.2f}", f"{run.peak:.0f}") if run else ("",) * 4
    return (row.figure, row.what, f"{_number(row.value, row.unit)} {row.unit}".strip(), target, verdict, *measures)


def _number(value: float, unit: str) -> str:
    return f"{value:.2f}" if unit in ("s", "x", "%") else f"{value:,.0f}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()
