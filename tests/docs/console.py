"""What a page tells its reader to do: commands with what they print, and files to write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_STEP = re.compile(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$|^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = "\x1e"


@dataclass(frozen=True)
class Command:
    """A line behind `$`, and what the page shows below it."""

    line: str
    shown: str


@dataclass(frozen=True)
class File:
    """A file, named above a block of code that is its text."""

    path: str
    text: str


def steps(page: str) -> list[Command | File]:
    """What the page wants done, in order."""
    found: list[Command | File] = []
    for path, text, console in _STEP.findall(page):
        if path:
            found.append(File(path, text))
        for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
            line, _, shown = part.partition("\n")
            found.append(Command(line, shown))
    return found


def script(steps: Sequence[Command | File]) -> str:
    """The steps as input for a shell; what it prints is for `printed`."""
    lines = ["trap 'kill $(jobs -p) 2> /dev/null || true' EXIT"]
    for number, step in enumerate(steps):
        if isinstance(step, File):
            lines += [f"mkdir -p $(dirname {step.path})", f"cat > {step.path} <<'END'", f"{step.text}END"]
        else:
            lines += [f"printf '{_MARK}{number}\\n'", step.line]
    return "\n".join(lines) + "\n"


def printed(output: str) -> dict[int, str]:
    """What each command printed, by the position of its step; those that were not reached are not there."""
    parts = (part.partition("\n") for part in output.split(_MARK)[1:])
    return {int(number): text for number, _, text in parts}
