"""`new` and `test`: begin a connector package, and run the conformance kit on one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from cdp_bridge.cli.options import json_option
from cdp_bridge.cli.output import print_json
from cdp_bridge.errors import ConfigError

if TYPE_CHECKING:
    from cdp_bridge.model import Kind

PASSED, FAILED, NOT_COLLECTED, NOTHING_COLLECTED = 0, 1, 2, 5
"""Exit codes of pytest."""
REASON_LINES = 6


class Test(Struct, frozen=True, kw_only=True):
    """How one test of the kit ended; `rule` is what must hold, `reason` the text of a failure or of a skip."""

    connector: str
    must: int
    name: str
    rule: str
    outcome: str
    reason: str


@click.command()
@click.argument("kind", type=click.Choice(["source", "destination"]))
@click.argument("name")
@click.option("--in", "folder", default=".", metavar="DIR", help="Where to make the package (default: here).")
def new(kind: Kind, name: str, folder: str) -> None:
    """Begin a connector package, DIR/source-NAME or DIR/destination-NAME: small, complete, and green under `test`.

    tests/vendor.py is its twin: a server that stands in for the vendor, to turn into yours.
    """
    from cdp_bridge.scaffold import create

    made = create(kind, name, Path(folder))
    click.echo(f"{made} is made. Next:\n  pip install -e {made}\n  cdp-bridge test {made}")


@click.command()
@click.argument("path")
@json_option
def test(path: str, as_json: bool) -> None:
    """Run the conformance kit on the connector package in the folder PATH.

    Exit code 0 only if tests ran and none failed. `cdp-bridge --debug test` also shows what pytest says.
    """
    context = click.get_current_context()
    tests = run_kit(Path(path), show=bool(context.find_root().params.get("debug")))
    counts = {outcome: sum(test.outcome == outcome for test in tests) for outcome in ("passed", "failed", "skipped")}
    connectors = sorted({test.connector for test in tests})
    if as_json:
        rows = [{"must": test.must, "name": test.name, "outcome": test.outcome} for test in tests]
        print_json({"connector": ", ".join(connectors), **counts, "tests": rows})
    else:
        for connector in connectors:
            click.echo(f"{connector} under the conformance kit\n")
            _report([test for test in tests if test.connector == connector])
            click.echo()
        click.echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    context.exit(0 if counts["passed"] and not counts["failed"] else 1)


def run_kit(path: Path, *, show: bool) -> list[Test]:
    """How each test of the kit in a package ended, in their order; `show` writes the output of pytest to stderr.

    ConfigError if there is no package, no test of the kit in it, or if its code cannot be imported.
    """
    if not (path / "pyproject.toml").is_file():
        raise ConfigError("is no connector package", place=str(path), remedy="Name a folder that has a pyproject.toml")
    if find_spec("pytest") is None:
        raise ConfigError("pytest is not installed", remedy='pip install "cdp-bridge[author]"')
    with tempfile.TemporaryDirectory(prefix="cdp-bridge-") as folder:
        report = Path(folder, "report.jsonl")
        code, output = _pytest(path, report, announced=_announced(path, Path(folder)))
        lines = report.read_text(encoding="utf-8").splitlines() if report.exists() else []
    if show:
        click.echo(output, err=True)
    if not lines or code not in (PASSED, FAILED):
        raise _no_result(path, code, output)
    tests: dict[tuple[str, str], Test] = {}
    for test in (Test(**json.loads(line)) for line in lines):
        # A test that could not be taken down is there twice, the second time as failed.
        tests[test.connector, test.name] = test
    return sorted(tests.values(), key=lambda test: (test.connector, test.must))


def _announced(path: Path, folder: Path) -> Path:
    """The folder, with the package's entry points in it as an installation would leave them."""
    try:
        project = tomllib.loads((path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        name, points = project["name"], project["entry-points"]["cdp_bridge"].items()
    except (KeyError, AttributeError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return folder
    info = folder / f"{re.sub('[^A-Za-z0-9]+', '_', name)}-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0\n", encoding="utf-8")
    lines = "".join(f"{point} = {module}\n" for point, module in points)
    (info / "entry_points.txt").write_text(f"[cdp_bridge]\n{lines}", encoding="utf-8")
    return folder


def _pytest(path: Path, report: Path, *, announced: Path) -> tuple[int, str]:
    """Run pytest as a process that finds the package also when it is not installed; its exit code and output."""
    places = [str(path.resolve()), str(announced), *filter(None, [os.environ.get("PYTHONPATH")])]
    options = ["-p", "cdp-bridge", "-p", "no:cacheprovider", "--tb=short", "--color=no"]
    done = subprocess.run(  # noqa: S603 - the interpreter that runs us
        [sys.executable, "-m", "pytest", str(path), *options, "--must-report", str(report)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(places)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def _no_result(path: Path, code: int, output: str) -> ConfigError:
    if code == NOTHING_COLLECTED:
        remedy = "Write tests/test_conformance.py as `cdp-bridge new` does"
        return ConfigError("has no tests of the conformance kit", place=str(path), remedy=remedy)
    if code == NOT_COLLECTED:
        why = " ".join(_errors(output)[-1:])
        remedy = f"pip install -e {path}, which also installs what the package needs"
        return ConfigError(f"its tests cannot be imported: {why}", place=str(path), remedy=remedy)
    remedy = f"cdp-bridge --debug test {path} shows its output"
    return ConfigError(f"pytest gave up with exit code {code}", place=str(path), remedy=remedy)


def _report(tests: Sequence[Test]) -> None:
    """A line for each MUST; under one that failed the rule, and for each failed test its case and reason."""
    for must in sorted({test.must for test in tests}):
        same = [test for test in tests if test.must == must]
        failed = [test for test in same if test.outcome == "failed"]
        skipped = all(test.outcome == "skipped" for test in same)
        why = f" ({'; '.join(dict.fromkeys(_reason(test)[0] for test in same))})" if skipped else ""
        outcome = "FAILED" if failed else "skipped" if skipped else "passed"
        click.echo(f"  {must:02}  {outcome:7}  {_title(same[0].name)}{why}")
        lines = [f"must hold: {same[0].rule}"] if failed and same[0].rule else []
        for test in failed:
            lines += [test.name.partition("[")[2].removesuffix("]"), *_reason(test)]
        click.echo("".join(f"               {line}\n" for line in lines if line), nl=False)


def _title(name: str) -> str:
    """`test_must_05_check_names_its_probes[slow]` -> `check names its probes`."""
    return name.partition("[")[0].split("_", 3)[-1].replace("_", " ")


def _reason(test: Test) -> list[str]:
    return _errors(test.reason) or ["no reason is given"]


def _errors(text: str) -> list[str]:
    """The first lines that pytest marks as the error, or of the whole text where it marks none, as for a skip."""
    lines = text.splitlines()
    marked = [line.removeprefix("E").strip() for line in lines if line.startswith("E  ")]
    # An error that a test reports in words of its own is printed above them.
    first = next((number for number, line in enumerate(marked) if line.startswith("Failed: ")), 0)
    texts = [re.sub("^(AssertionError|Failed|Skipped): ", "", line) for line in marked[first:] or lines if line]
    # Below the words of a test stands the expression that they explain.
    compared = next((number for number, line in enumerate(texts) if number and line.startswith("assert ")), len(texts))
    return texts[: min(compared, REASON_LINES)]
