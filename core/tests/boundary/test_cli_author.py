"""`new` makes packages that are small, typed and true to their spec; `test` reports the kit on any package."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest
from cdp_bridge import testing
from cdp_bridge.connectors import manifest
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.protocol.description import specification

from .conftest import Cli

SETTINGS = Path(__file__).parents[3] / "pyproject.toml"
SUITE = """
import pytest
from shop_code import NAME

class Connector:
    name = NAME

class TestShop:
    connector = Connector

    @pytest.fixture
    def broken(self):
        yield
        raise OSError("cannot be taken down")

"""
PASSES = "    def test_must_05_check_names_its_probes(self):\n        assert True\n"
FAILS = """\
    @pytest.mark.parametrize("case", ["empty", "full"])
    def test_must_18_everybody_is_there(self, case):
        "Everybody is there, and nobody else."
        assert case == "full", "somebody is missing"

"""
OTHER = "    def test_of_the_author(self):\n        assert False\n"
RAISES = """\
    def test_must_16_outages_are_transient(self):
        try:
            raise ValueError("of the connector")
        except ValueError:
            pytest.fail("it raised a ValueError; raise a TransientError")

"""
COMPARES = "    def test_must_19_twice_the_same(self):\n        assert 1 > 2\n"
SKIPPED = "    def test_must_22_checkpoints(self):\n        pytest.skip('there are no checkpoints')\n"
CRASHES = "    def test_must_06_x(self):\n        import os\n        os._exit(7)\n"
BREAKS = "    def test_must_07_ends_well(self, broken):\n        assert True\n"


class MakePackage(Protocol):
    """A package with a test file that has these tests; `files` are more of its files."""

    def __call__(self, *tests: str, **files: str) -> Path: ...


@pytest.fixture
def shop_package(tmp_path: Path) -> MakePackage:
    """A package with a test file that has these tests; `files` are more of its files."""

    def make(*tests: str, **files: str) -> Path:
        package = tmp_path / "source-shop"
        texts = {"pyproject.toml": "", "shop_code.py": "NAME = 'source-shop'\n"} | files
        for name, text in (texts | {"tests/test_shop.py": SUITE + "".join(tests)}).items():
            (package / name).parent.mkdir(parents=True, exist_ok=True)
            (package / name).write_text(text)
        return package

    return make


def ruff(folder: Path) -> str:
    """What ruff says of a folder under our settings; nothing if all is well."""
    commands = (["check", "--quiet"], ["format", "--check", "--quiet"])
    done = [
        subprocess.run(["ruff", *command, "--config", SETTINGS, "."], cwd=folder, capture_output=True, text=True)
        for command in commands
    ]
    return "".join(one.stdout + one.stderr for one in done)


def lines_of_code(package: Path) -> int:
    return sum(len(path.read_text().splitlines()) for path in package.glob("*_acme/*.py"))


def test_new_packages_are_small_and_clean_under_strict_types(cli: Cli, tmp_path: Path) -> None:
    for kind, longest in (("source", 60), ("destination", 80)):
        made = tmp_path / f"{kind}-acme"
        answer = cli("new", kind, "acme", "--in", tmp_path)
        assert (answer.code, answer.err) == (0, "")
        assert f"cdp-bridge test {made}" in answer.out
        assert lines_of_code(made) <= longest
        assert ruff(made) == ""
        typed = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--cache-dir", SETTINGS.with_name(".mypy_cache"), "."],
            cwd=made,
            capture_output=True,
            text=True,
        )
        assert typed.returncode == 0, typed.stdout


def test_new_leaves_no_variable_unfilled(cli: Cli, tmp_path: Path) -> None:
    for kind in ("source", "destination"):
        cli("new", kind, "acme", "--in", tmp_path)
        files = [path for path in (tmp_path / f"{kind}-acme").rglob("*") if path.is_file()]
        assert len(files) == (11 if kind == "source" else 12)
        for path in files:
            assert not re.search(r"\{\{|\{%|\.jinja", f"{path} {path.read_text()}"), path
            assert path.name in ("py.typed", "__init__.py") or path.read_text().endswith("\n")


def test_the_twin_is_the_vendor_of_the_kit_itself(cli: Cli, tmp_path: Path) -> None:
    cli("new", "source", "acme", "--in", tmp_path)
    vendor = Path(testing.__file__).with_name("vendor.py")
    assert (tmp_path / "source-acme" / "tests" / "vendor.py").read_bytes() == vendor.read_bytes()


@pytest.mark.parametrize("kind", ["source", "destination"])
def test_the_longest_name_still_gives_clean_code_and_a_true_spec(
    kind: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "a-name-with-25-characters"
    assert cli("new", kind, name, "--in", tmp_path).code == 0
    made = tmp_path / f"{kind}-{name}"
    assert ruff(made) == ""
    monkeypatch.syspath_prepend(str(made))
    package = __import__(made.name.replace("-", "_"))
    committed = json.loads((made / "connector_specs" / f"{made.name}.json").read_text())
    assert committed == specification(package.CONNECTOR)
    assert (made / package.__name__ / manifest.FILE).read_text() == manifest.written(package.bridge_connectors())
    assert package.bridge_connectors() == [package.CONNECTOR]
    assert callable(Registry([]).load(package.CONNECTOR).check)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("source-acme", "cdp-bridge new source acme"),
        ("Acme", "lower-case"),
        ("acme crm", "lower-case"),
        ("acme_crm", "single hyphens"),
        ("acme--crm", "single hyphens"),
        ("acme-", "single hyphens"),
        ("3m", "a letter first"),
        ("class", "no Python keyword"),
        ("../acme", "lower-case"),
        ("", "lower-case"),
        ("a" * 26, "at most 25 characters"),
        ("älg", "lower-case"),
    ],
)
def test_new_refuses_a_name_and_says_which_would_do(name: str, said: str, cli: Cli, tmp_path: Path) -> None:
    answer = cli("new", "source", name, "--in", tmp_path / "made")
    assert (answer.code, answer.out) == (1, "")
    (line,) = answer.err.splitlines()
    assert line.startswith(f"error: {name}")
    assert said in line
    assert not (tmp_path / "made").exists()


def test_new_overwrites_nothing(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "source-acme").mkdir()
    (tmp_path / "taken").touch()
    for folder, said in ((tmp_path, "is there already"), (tmp_path / "taken", "cannot be written: Not a directory")):
        answer = cli("new", "source", "acme", "--in", folder)
        assert (answer.code, answer.out) == (1, "")
        (line,) = answer.err.splitlines()
        assert said in line
        assert "Choose another" in line
    assert list((tmp_path / "source-acme").iterdir()) == []


def test_what_is_missing_names_the_extra(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop_package: MakePackage
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.setattr("cdp_bridge.cli.author.find_spec", lambda name: None)
    for arguments in (["new", "source", "acme", "--in", tmp_path], ["test", shop_package(PASSES)]):
        answer = cli(*arguments)
        assert answer.code == 1
        assert answer.err.endswith('is not installed. pip install "cdp-bridge[author]"\n'), answer.err


def test_the_report_has_a_line_for_each_must_and_why(cli: Cli, shop_package: MakePackage) -> None:
    package = shop_package(
        FAILS, PASSES, RAISES, COMPARES, SKIPPED, BREAKS, "    def test_of_the_author(self):\n        assert False\n"
    )
    answer = cli("test", package)
    assert answer.code == 1
    assert answer.out == (
        "source-shop under the conformance kit\n\n"
        "  05  passed   check names its probes\n"
        "  07  FAILED   ends well\n"
        "               OSError: cannot be taken down\n"
        "  16  FAILED   outages are transient\n"
        "               it raised a ValueError; raise a TransientError\n"
        "  18  FAILED   everybody is there\n"
        "               must hold: Everybody is there, and nobody else.\n"
        "               empty\n"
        "               somebody is missing\n"
        "  19  FAILED   twice the same\n"
        "               assert 1 > 2\n"
        "  22  skipped  checkpoints (there are no checkpoints)\n\n"
        "2 passed, 4 failed, 1 skipped\n"
    )
    assert answer.err == ""
    debug = cli("--debug", "test", package)
    assert debug.out == answer.out
    assert "test_shop.py" in debug.err
    assert re.search(r"- MUST 18 of docs/connector-spec.md -+\nEverybody is there", debug.err)


def test_the_report_as_json_has_every_test(cli: Cli, shop_package: MakePackage) -> None:
    answer = cli("test", shop_package(FAILS, PASSES), "--json")
    assert answer.code == 1
    name = "test_must_18_everybody_is_there"
    assert answer.json == {
        "connector": "source-shop",
        "passed": 2,
        "failed": 1,
        "skipped": 0,
        "tests": [
            {"must": 5, "name": "test_must_05_check_names_its_probes", "outcome": "passed"},
            {"must": 18, "name": f"{name}[empty]", "outcome": "failed"},
            {"must": 18, "name": f"{name}[full]", "outcome": "passed"},
        ],
    }


@pytest.mark.parametrize(("tests", "code"), [([PASSES, SKIPPED], 0), ([SKIPPED], 1)])
def test_only_what_ran_and_did_not_fail_is_green(
    tests: list[str], code: int, cli: Cli, shop_package: MakePackage
) -> None:
    assert cli("test", shop_package(*tests)).code == code


@pytest.mark.parametrize(
    ("tests", "files", "said"),
    [
        ([], {}, "has no tests of the conformance kit. Write tests/test_conformance.py"),
        ([PASSES], {"shop_code.py": ""}, "cannot be imported: ImportError: cannot import name 'NAME'"),
        ([PASSES], {"shop_code.py": "import not_there"}, "No module named 'not_there'. pip install -e "),
        (
            [PASSES, "    def test_must_06_x(self):\n        __import__('os')._exit(7)\n"],
            {},
            "gave up with exit code 7.",
        ),
        ([PASSES], {"pytest.ini": "[pytest]\naddopts = --nonsense\n"}, "gave up with exit code 4. cdp-bridge --debug"),
    ],
)
def test_what_cannot_be_tested_is_said_in_a_line(
    tests: list[str], files: dict[str, str], said: str, cli: Cli, shop_package: MakePackage
) -> None:
    answer = cli("test", shop_package(*tests, **files))
    assert (answer.code, answer.out) == (1, "")
    (line,) = answer.err.splitlines()
    assert said in line


def test_a_folder_without_a_package_is_none(cli: Cli, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        answer = cli("test", folder)
        assert answer.code == 1
        assert answer.err == f"error: {folder}: is no connector package. Name a folder that has a pyproject.toml\n"
