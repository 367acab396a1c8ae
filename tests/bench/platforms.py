"""Measures the fan-out: the cost of a second and a third platform when the segment is read once."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import sandbox

from .bench import PYTHON, Bench, Row
from .process import Measure, medians, run

PLATFORMS = ("meta", "tiktok", "google")


def fanout(bench: Bench) -> Iterator[Row]:
    """One segment of Segment's warehouse to one platform and to three, at twins on loopback."""
    with _twins(bench) as twins:
        _ask(f"{twins.google}/_twin/config", {"processing": 0})
        _ask(f"{twins.tiktok}/_twin/config", {"app": {"per_second": 1_000, "per_minute": 60_000}})
        alone = {name: _fanned(bench, twins, name) for name in PLATFORMS[1:]}
        one = medians(bench.times, lambda: _fanned(bench, twins, "meta"))
        three = medians(bench.times, lambda: _fanned(bench, twins, *PLATFORMS))
        unlike = sum(
            abs(_held(twins, name, measure) - _held(twins, name, three))
            for name, measure in {"meta": one, **alone}.items()
        )
    many = f"{bench.members:,} members"
    yield Row(figure="fanout", what=f"{many} to Meta", value=one.inside, unit="s", run=one)
    for name, measure in alone.items():
        what = f"{many} to {name.capitalize()} (its pace lifted)" if name == "tiktok" else f"{many} to Google"
        yield Row(figure="fanout", what=what, value=measure.inside, unit="s", run=measure)
    yield Row(figure="fanout", what=f"{many} to all three from one read", value=three.inside, unit="s", run=three)
    ratio = three.inside / one.inside
    yield Row(figure="fanout", what="three platforms against Meta alone", value=ratio, unit="x", target=2.2)
    what = "accounts at the three twins unlike those after runs alone"
    yield Row(figure="fanout", what=what, value=unlike, target=0)


@contextmanager
def _twins(bench: Bench) -> Iterator[sandbox.Sandbox]:
    """Each platform's twin in a process of its own, since platforms do not wait for each other."""
    warehouse = f"duckdb:///{bench.folder}/segment.duckdb"
    with (
        sandbox.running(people=bench.members, warehouse=warehouse) as first,
        sandbox.running(people=bench.members) as second,
        sandbox.running(people=bench.members) as third,
    ):
        yield replace(first, tiktok=second.tiktok, google=third.google)


def _fanned(bench: Bench, twins: sandbox.Sandbox, *platforms: str) -> Measure:
    """One run into new audiences; RuntimeError unless all of them succeed."""
    store = bench.folder / "fanned.db"
    bench.forget(store)
    urls = [f"{name}={getattr(twins, name)}" for name in platforms]
    asked = _reads(twins)
    measure = run([PYTHON, "-m", "tests.bench.fanout_run", store, str(twins.segment), str(twins.warehouse), *urls])
    runs = measure.reports[0]["runs"]
    # Google has the last word of what it took with the next run.
    if any(one["status"] == "failed" for one in runs.values()) or _reads(twins) != asked + 1:
        raise RuntimeError(f"the runs went wrong: {runs}")
    return measure


def _reads(twins: sandbox.Sandbox) -> int:
    """How often Segment was asked which audience to read."""
    routes = _ask(f"{twins.segment}/_twin/requests")["routes"]
    return sum(count for route, count in routes.items() if route.endswith("/audiences"))


def _held(twins: sandbox.Sandbox, name: str, measure: Measure) -> int:
    """How many of its own people a platform holds in the audience of a run."""
    mine = measure.reports[0]["runs"][name]["audience"]
    audiences = _ask(f"{getattr(twins, name)}/_twin/audiences")
    (held,) = [one["held_people"] for one in audiences if one["id"] == mine]
    assert held, "nobody is there"
    return int(held)


def _ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data)) as answer:
        return json.load(answer)
