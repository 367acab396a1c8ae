"""Measures the control plane: containers, schedules, the API."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from .bench import PYTHON, Bench, Row
from .process import Measure, medians, run
from .serving import serving

HERE = Path(__file__).parent
CONNECTORS = HERE / "bench_connectors"
_SCRIPT = "#!{python}\nfrom bench_connectors import {function} as main\nmain()\n"


def containers(bench: Bench) -> Iterator[Row]:
    """The same run in this process, by executables, in containers: the costs of starting them and exchanging data."""
    subprocess.run([HERE.parents[1] / "scripts/images", CONNECTORS], stdout=subprocess.DEVNULL, check=True)
    many = 3_000 if bench.quick else 500_000
    few = {name: _launcher_run(bench, 100, name, bench.times * 2 - 1) for name in ("", "docker")}
    overhead = few["docker"].whole - few[""].whole
    what = "two containers, above the same run in process"
    yield Row(figure="containers", what=what, value=overhead, unit="s", target=1, run=few["docker"])
    rates = {}
    for name, what in (("", "in process"), ("local", "by executables"), ("docker", "in containers")):
        measure = _launcher_run(bench, many, name, bench.times)
        rates[name] = many / measure.inside
        what = f"{many:,} members created {what}"
        yield Row(figure="containers", what=what, value=rates[name], unit="members/s", run=measure)
    ratio = rates["docker"] / rates["local"]
    what = "containers against executables"
    yield Row(figure="containers", what=what, value=ratio, unit="x", target=0.6, at_least=True)


def schedules(bench: Bench) -> Iterator[Row]:
    """The load of an idle server with many schedules."""
    many, seconds = (10, 1) if bench.quick else (1_000, 60)
    with serving(bench.folder, _seeded(bench, many, 0)) as server:
        time.sleep(seconds / 6)
        before = server.cpu()
        time.sleep(seconds)
        used = (server.cpu() - before) / seconds * 100
    yield Row(figure="schedules", what=f"{many:,} schedules, idle: of one core", value=used, unit="%", target=2)


def api(bench: Bench) -> Iterator[Row]:
    """The latency of lists, pages, single runs, audiences and metrics at a steady rate over HTTP."""
    runs, seconds, rate = (1_000, 2, 50) if bench.quick else (100_000, 30, 200)
    with serving(bench.folder, _seeded(bench, 100, runs)) as server:
        # A server does its daily work first when it starts.
        time.sleep(seconds / 3)
        command = [PYTHON, "-m", "tests.bench.load", server.url, str(rate), str(seconds)]
        done = subprocess.run(command, env=os.environ | {"BENCH_KEY": server.key}, stdout=subprocess.PIPE, check=True)
    report = json.loads(done.stdout)
    what = f"{rate} requests/s on {runs:,} runs"
    yield Row(figure="api", what=f"{what}: p99", value=report["p99"], unit="ms", target=50)
    yield Row(figure="api", what=f"{what}: median", value=report["p50"], unit="ms")
    for name, p99 in report["p99s"].items():
        yield Row(figure="api", what=f"p99 of {name}", value=p99, unit="ms")
    yield Row(figure="api", what="answers other than 200", value=report["bad"], target=0)


def _launcher_run(bench: Bench, members: int, launcher: str, times: int) -> Measure:
    """The median of runs that fill an empty audience; RuntimeError unless everybody is in it afterwards."""
    scripts, store = bench.folder / "bin", bench.folder / "launchers.db"
    scripts.mkdir(exist_ok=True)
    for name, function in (("source-crowd", "read"), ("destination-void", "write")):
        (scripts / name).write_text(_SCRIPT.format(python=PYTHON, function=function))
        (scripts / name).chmod(0o755)
    environment = (f"PATH={scripts}:{os.environ['PATH']}", f"PYTHONPATH={CONNECTORS}")
    command = ["env", *environment, PYTHON, "-m", "tests.bench.launcher_run", str(store), str(members), launcher]

    def create() -> Measure:
        bench.forget(store)
        measure = run(command)
        report = measure.reports[0]
        if report["status"] != "succeeded" or report["members"] != members:
            raise RuntimeError(f"the run went wrong: {report}")
        return measure

    return medians(times, create)


def _seeded(bench: Bench, audiences: int, runs: int) -> Path:
    store = bench.folder / f"seeded-{audiences}-{runs}.db"
    run([PYTHON, "-m", "tests.bench.seed_store", store, str(audiences), str(runs)], reports=0)
    return store
