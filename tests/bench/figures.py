"""The figures: what each one runs, and its target."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import sandbox

from .authoring import new_to_green
from .bench import Bench, Row
from .comparison import PEERS, SAMPLE, differing
from .control import api, containers, schedules
from .platforms import fanout
from .process import Measure, medians, run

PLUGINS = Path(__file__).parents[2] / "plugins"
CLI = str(Path(sys.executable).parent / "cdp-bridge")


def engine(bench: Bench) -> Iterator[Row]:
    """Read, map, normalise, hash, diff, ledger, payload; nothing is sent."""
    create, unchanged = bench.hundred_thousand
    yield _rate("engine", f"{bench.members:,} members created", bench.members, create, target=80_000)
    yield _rate("engine", f"{bench.members:,} members unchanged", bench.members, unchanged)


def phones(bench: Bench) -> Iterator[Row]:
    """As `engine`, every phone as people of 20 countries write it at home."""
    create, _ = bench.pair(bench.members, local=True)
    yield _rate("phones", f"{bench.members:,} created, phones of 20 countries", bench.members, create, target=50_000)


def peers(bench: Bench) -> Iterator[Row]:
    """The same people, mapping, hashes and payload by others; first that their payloads equal ours."""
    sample, kept = bench.people(SAMPLE), bench.folder / "ours.jsonl"
    bench.ours(sample, bench.folder / "sample.db", SAMPLE, "null", keep=kept)
    create, _ = bench.hundred_thousand
    for number, peer in enumerate(PEERS):
        theirs = bench.folder / f"theirs-{number}.jsonl"
        peer.run(sample, bench.folder, keep=theirs)
        yield Row(
            figure="peers", what=f"rows of payload unlike ours: {peer.name}", value=differing(kept, theirs), target=0
        )
        rate, measure = peer.rate(bench.members, bench.people(bench.members), bench.folder, bench.times)
        yield Row(figure="peers", what=peer.name, value=rate, unit="members/s", run=measure)
        times = bench.members / create.inside / rate
        yield Row(
            figure="peers", what=f"ours against {peer.name}", value=times, unit="x", target=peer.times, at_least=True
        )


def meta(bench: Bench) -> Iterator[Row]:
    """The Meta twin on loopback; what it holds counts, not what we say."""
    people, store = bench.people(bench.members), bench.folder / "meta.db"
    held: list[int] = []

    def create() -> Measure:
        bench.forget(store)
        with sandbox.running() as twins:
            measure = bench.ours(people, store, bench.members, "meta", twins.meta)
            with urllib.request.urlopen(f"{twins.meta}/_twin/audiences") as answer:
                held.append(sum(audience["held_rows"] for audience in json.load(answer)))
        return measure

    measure = medians(bench.times, create)
    yield _seconds("meta", f"{bench.members:,} members created at the twin", measure, target=4)
    missing = max(abs(bench.members - count) for count in held)
    yield Row(figure="meta", what="members missing at the twin", value=missing, target=0)


def million(bench: Bench) -> Iterator[Row]:
    """Ten times the members: time, calls and memory when nothing changed, memory when all are new."""
    small, large = bench.hundred_thousand, bench.pair(bench.many)
    yield _seconds("million", f"{bench.many:,} members unchanged", large[1], target=10)
    calls = large[1].reports[0]["membership_calls"]
    yield Row(figure="million", what="membership calls when unchanged", value=calls, target=0)
    for name, less, more in zip(("create", "unchanged"), small, large, strict=True):
        what = f"peak memory, {bench.many:,} members, {name}"
        yield Row(figure="million", what=what, value=more.peak, unit="MB", target=600, run=more)
        what = f"the same against {bench.members:,} members"
        yield Row(figure="million", what=what, value=more.peak / less.peak, unit="x", target=2)


def cold(bench: Bench) -> Iterator[Row]:
    """Small commands, whole process."""
    for command, target in (("spec source-segment", 0.5), ("connectors", 0.6), ("--help", 0.3)):
        run([CLI, *command.split()], reports=0)
        measure = medians(1 if bench.quick else 7, lambda c=command: run([CLI, *c.split()], reports=0))  # type: ignore[misc]
        yield _seconds("cold", f"cdp-bridge {command}", measure, target)


def author(bench: Bench) -> Iterator[Row]:
    """How long the author of a connector waits: for a new one to be green, for the kit on a grown one."""
    for kind in ("source",) if bench.quick else ("source", "destination"):
        seconds = new_to_green(kind, bench.folder)
        yield Row(figure="author", what=f"from new {kind} to a green kit", value=seconds, unit="s", target=60)
    for package in () if bench.quick else ("source-segment", "destination-meta"):
        measure = run([CLI, "test", str(PLUGINS / package)], reports=0)
        yield _seconds("author", f"the kit on {package}", measure, target=90)


FIGURES: dict[str, Callable[[Bench], Iterator[Row]]] = {
    figure.__name__: figure
    for figure in (engine, phones, meta, fanout, peers, million, cold, author, containers, schedules, api)
}


def _rate(figure: str, what: str, members: int, run: Measure, target: float | None = None) -> Row:
    rate = members / run.inside
    return Row(figure=figure, what=what, value=rate, unit="members/s", target=target, at_least=True, run=run)


def _seconds(figure: str, what: str, run: Measure, target: float) -> Row:
    return Row(figure=figure, what=what, value=run.whole, unit="s", target=target, run=run)
