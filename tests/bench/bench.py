"""What the figures share: sizes, people, runs, and the report of one figure."""

from __future__ import annotations

import sys
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from .process import Measure, medians, run

MEMBERS, MANY = 100_000, 1_000_000
PYTHON = sys.executable


class Row(Struct, frozen=True, kw_only=True):
    """One figure: `value` against `target` (None: only told), with the run that it comes from."""

    figure: str
    what: str
    value: float
    unit: str = ""
    target: float | None = None
    at_least: bool = False
    run: Measure | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached, None without one."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


class Bench:
    """What the figures share: sizes, the folder for people and stores, and the runs that several figures use."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        self.folder = folder
        self.quick = quick
        self.times = 1 if quick else 3
        self.members, self.many = (1_000, 3_000) if quick else (MEMBERS, MANY)

    @cached_property
    def hundred_thousand(self) -> tuple[Measure, Measure]:
        """Create and unchanged runs of `members` people."""
        return self.pair(self.members)

    def pair(self, members: int, *, local: bool = False) -> tuple[Measure, Measure]:
        """Medians of filling an empty audience, and of a second run that finds nothing changed."""
        people, store = self.people(members, local=local), self.folder / "pair.db"
        unchanged: list[Measure] = []

        def create() -> Measure:
            self.forget(store)
            created = self.ours(people, store, members, "null")
            unchanged.append(self.ours(people, store, members, "null"))
            return created

        return medians(self.times, create), medians(self.times, iter(unchanged).__next__)

    def ours(self, people: Path, store: Path, members: int, *destination: str, keep: Path | None = None) -> Measure:
        """One run of ours; RuntimeError unless everybody is in the audience afterwards."""
        measure = run([PYTHON, "-m", "tests.bench.work", people, store, *destination], keep=keep)
        report = measure.reports[0]
        if report["status"] != "succeeded" or report["members"] != members:
            raise RuntimeError(f"the run went wrong: {report}")
        return measure

    def people(self, members: int, *, local: bool = False) -> Path:
        """The file of that many people, made on first use."""
        kind = "local" if local else "international"
        path = self.folder / f"{members}-{kind}.parquet"
        if not path.exists():
            run([PYTHON, "-m", "tests.bench.people", path, str(members), kind], reports=0)
        return path

    def forget(self, store: Path) -> None:
        """Delete a store."""
        for path in store.parent.glob(f"{store.name}*"):
            path.unlink()
