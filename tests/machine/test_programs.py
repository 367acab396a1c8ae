"""Every program that scripts, tests and packages call is in scripts/programs.sh, or on every machine already."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.machine.shell import commands, functions

ROOT = Path(__file__).parents[2]
LIST = ROOT / "scripts/programs.sh"
FOLDERS = (".ci", "core", "docker", "plugins", "scripts", "tests")
EVERYWHERE = {
    *(
        "apt-get",
        "awk",
        "base64",
        "basename",
        "bash",
        "cat",
        "chmod",
        "cp",
        "dirname",
        "dpkg-deb",
        "flock",
        "head",
        "id",
    ),
    *("mkdir", "mktemp", "rm", "setsid", "sha256sum", "sleep", "sort", "tar", "tr", "unshare"),
}
"""What a Debian has that has nothing else."""
WRAPPERS = {"scripts/imaging": "run", "scripts/inventory": "run", "core/cdp_bridge/connectors/launch": "_run"}
"""Functions, by where they are called, that take a command as `subprocess.run` does, or as their arguments."""


def listed() -> set[str]:
    table = LIST.read_text().partition('_packages="')[2].partition('"')[0]
    return {line.split()[0] for line in table.splitlines() if line}


def comes_by_itself(program: str) -> bool:
    """Whether it is of this repository or its tests, of the environment that the scripts make, or on every machine."""
    own = Path(program).is_absolute() or (ROOT / program).exists() or (Path(sys.executable).parent / program).exists()
    return own or program in EVERYWHERE


def is_shell(path: Path) -> bool:
    with path.open("rb") as file:
        first = file.readline()
    return path.suffix == ".sh" or (first.startswith(b"#!") and first.rstrip().endswith(b"sh"))


def called(tree: ast.Module, wrapper: str | None) -> Iterator[str]:
    """The programs of calls whose command is written out, in place or in a variable."""
    variables = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and calls_a_program(node.func, wrapper):
            first = first_word(node.args[0], variables)
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def calls_a_program(function: ast.expr, wrapper: str | None) -> bool:
    if isinstance(function, ast.Name):
        return function.id == wrapper
    return ast.unparse(function).startswith(("subprocess.", "shutil.which", "os.exec"))


def first_word(command: ast.expr, variables: dict[str, ast.expr]) -> ast.expr | None:
    """The first element of a list, through sums, stars and variables."""
    match command:
        case ast.List(elts=[first, *_]) | ast.Tuple(elts=[first, *_]) | ast.Starred(first) | ast.BinOp(left=first):
            return first_word(first, variables)
        case ast.Name(name) if name in variables:
            return first_word(variables[name], {key: value for key, value in variables.items() if key != name})
    return command


FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.is_file()]
SCRIPTS = [path for path in FILES if path.suffix in ("", ".sh") and is_shell(path)]
MODULES = [path for path in FILES if path.suffix == ".py"]


def programs() -> set[str]:
    """All that are called."""
    script = "compgen -bk"
    builtins = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split()
    own = {word for path in SCRIPTS for word in functions(path.read_text())}
    words = {word for path in SCRIPTS for word in commands(path.read_text())}
    found = words - own - set(builtins)
    for path in MODULES:
        wrapper = next((name for place, name in WRAPPERS.items() if str(path).startswith(str(ROOT / place))), None)
        found |= set(called(ast.parse(path.read_text()), wrapper))
    return found


def test_every_program_that_is_called_is_listed() -> None:
    assert sorted(name for name in programs() - listed() if not comes_by_itself(name)) == []


def test_every_program_that_is_listed_is_called() -> None:
    # The engine calls it for the list of a container's processes.
    assert listed() - programs() == {"ps"}


def test_the_calls_of_a_script_are_seen() -> None:
    script = """
        # comment
        f() { local a="$(inner "$1" | second)"; exec third "some (words; here)"; }
        [ -x "$b" ] || fourth 2> /dev/null && A=1 fifth $(sixth) <(seventh)
        case "$1" in eighth) ninth ;; esac
        cat << END
        text
        END
    """
    script = "\n".join(line.strip() for line in script.splitlines())
    seen = {"inner", "second", "third", "fourth", "fifth", "sixth", "seventh", "ninth", "cat"}
    assert seen <= commands(script)
    assert not {"comment", "here", "words", "eighth", "text", "f"} & (commands(script) - functions(script))


def test_the_calls_of_a_module_are_seen() -> None:
    module = """
import subprocess
words = ["ip", "netns"]
command = [*words, "exec"]
subprocess.run(command)
subprocess.Popen(["git"] + more)
run("tar", "-cf")
other("no program")
"""
    assert set(called(ast.parse(module), "run")) == {"ip", "git", "tar"}


def test_what_is_missing_is_named_in_one_line(tmp_path: Path) -> None:
    """There is no apt-get on this PATH."""
    for name in ("awk", "id", "sort", "tr"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    script = "source scripts/programs.sh; programs ip strace"
    words = [shutil.which("bash") or "bash", "-c", f"PATH={tmp_path}; {script.replace('ip strace', 'docker strace')}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "Missing here: docker strace. Root gets them on Debian by: apt-get install docker.io strace\n"
