"""The rooms of the core are those of docs/architecture.md, each with its charter, and stay small enough to read."""

from __future__ import annotations

import ast
import re
import statistics
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core" / "cdp_bridge"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
MAX_MODULES, MAX_DEPTH, MAX_LINES, MAX_FUNCTION, MAX_PARAMETERS = 14, 3, 450, 60, 6
MEDIAN_LINES, P95_LINES = 120, 350
# One file a command: more commands make no harder reading.
UNBOUNDED = {"cli"}


def rooms() -> dict[str, Path]:
    """Every module at the top of the core and every package in it, by the name that the page uses."""
    modules = {path.name: path for path in CORE.glob("*.py") if path.name != "__init__.py"}
    packages = {f"{init.parent.relative_to(CORE)}/": init for init in CORE.rglob("*/__init__.py")}
    return modules | packages


def charter(path: Path) -> str:
    """The first line of a module's docstring, without its full stop."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0].removesuffix(".")


def contract(kind: str, name: str) -> dict[str, Any]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (found,) = [entry for entry in contracts if entry["type"] == kind and entry["name"].startswith(name)]
    return dict(found)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


CODE = [
    path
    for folder in (CORE, *(ROOT / "plugins").glob("*/[a-z]*"))
    for path in folder.rglob("*.py")
    if not {"tests", "versions", "scaffold"} & set(path.relative_to(ROOT).parts)
]


def test_the_page_lists_the_rooms_with_their_charters() -> None:
    section = PAGE.partition("## The parts")[2].partition("\n## ")[0]
    listed = dict(re.findall(r"^\| `([\w/.]+)` \| (.*?) \|$", section, re.MULTILINE))
    assert listed == {name: charter(path) for name, path in rooms().items()}


def test_a_room_holds_about_a_dozen_modules_and_is_not_deep() -> None:
    packages = [path.parent for path in CORE.rglob("__init__.py")]
    sizes = {str(package.relative_to(CORE)): len(list(package.glob("*.py"))) for package in packages}
    assert {name: size for name, size in sizes.items() if size > MAX_MODULES and name not in UNBOUNDED} == {}
    assert max(len(package.relative_to(CORE).parts) for package in packages) <= MAX_DEPTH


def test_modules_and_functions_can_be_read_at_once() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in CODE}
    sizes = sorted(size for path, size in lines.items() if "sandbox" not in path.parts)
    assert (statistics.median(sizes) <= MEDIAN_LINES, sizes[int(len(sizes) * 0.95)] <= P95_LINES) == (True, True)
    assert {path: size for path, size in lines.items() if size > MAX_LINES} == {}
    long = [
        (path.name, node.name)
        for path in CODE
        for node in functions(path)
        if (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION
    ]
    assert long == []


def test_functions_take_few_parameters() -> None:
    # The options of a command are its parameters.
    commands = CORE / "cli"
    many = [
        (path.name, node.name)
        for path in CODE
        if commands not in path.parents
        for node in functions(path)
        if parameters(node) > MAX_PARAMETERS
    ]
    assert many == []


def test_plugins_may_import_the_sdk_only() -> None:
    modules = {path.stem for path in CORE.glob("*.py")} | {path.parent.name for path in CORE.glob("*/__init__.py")}
    protected = set(contract("protected", "Connectors import the sdk")["protected_modules"])
    assert protected == {f"cdp_bridge.{name}" for name in modules - {"__init__", "sdk"}}


def test_no_layer_is_left_out() -> None:
    layers = contract("layers", "Imports of the core")
    assert (layers["containers"], layers["exhaustive"]) == (["cdp_bridge"], True)
