"""Measures every figure and reports which targets are reached; `scripts/bench` prepares the environment."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console

from .bench import Bench, Row
from .figures import FIGURES
from .report import as_json, page, show

ROOT = Path(__file__).parents[2]
WIDTH = 150


def main() -> int:
    """Run the figures asked for; 1 if a target is missed. --quick measures too little to judge any."""
    options = _options()
    console = Console(stderr=options.json, width=None if sys.stdout.isatty() else WIDTH)
    load = os.getloadavg()[0]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="cdp-bridge-bench-") as folder:
        bench = Bench(Path(folder), quick=options.quick)
        for name in options.names or FIGURES:
            with console.status(f"{name}: {FIGURES[name].__doc__}"):
                rows += FIGURES[name](bench)
    if options.quick:
        rows = [replace(row, target=None) for row in rows]
    if options.json:
        print(json.dumps(as_json(rows)))
    else:
        show(console, rows)
    if not (options.names or options.quick):
        (ROOT / "docs" / "benchmarks.md").write_text(page(rows, load))
    return 1 if any(row.met is False for row in rows) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FIGURES)}; all of them by default")
    parser.add_argument("--quick", action="store_true", help="few people, once: whether the benches still work")
    parser.add_argument("--json", action="store_true", help="the rows as one JSON list on stdout, nothing else there")
    options = parser.parse_args()
    if unknown := set(options.names) - FIGURES.keys():
        parser.error(f"there is no figure {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    sys.exit(main())
