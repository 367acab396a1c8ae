"""Finds the texts and numbers that JSON and the databases cannot hold, and replaces such characters."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cdp_bridge.errors import ConfigError

REPLACEMENT = "\ufffd"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1


def storable(text: str) -> str:
    """The text with U+FFFD for each character that a database refuses: NUL, and half of a surrogate pair."""
    return _UNSTORABLE.sub(REPLACEMENT, text)


def unstorable(value: Any) -> Iterator[ConfigError]:
    """A fault for each text and number inside a value that cannot be stored, by dotted path."""
    # Without recursion, since the value may be nested deeply.
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        place, part = waiting.pop()
        inside: list[tuple[str, Any]] = []
        if isinstance(part, Mapping):
            names = [str(name) for name in part]
            if any(map(_problem, names)):
                yield ConfigError("has a key with a character that cannot be stored", place=place, remedy=_TAKE_OUT)
            inside = [(_join(place, storable(name)), inner) for name, inner in zip(names, part.values(), strict=True)]
        elif isinstance(part, list | tuple):
            inside = [(_join(place, str(number)), inner) for number, inner in enumerate(part)]
        elif problem := _problem(part):
            yield ConfigError(problem, place=place, remedy=_TAKE_OUT if isinstance(part, str) else _CHOOSE)
        waiting.extend(reversed(inside))


def _problem(value: Any) -> str:
    """What is wrong with a text or number; empty for others."""
    if isinstance(value, str):
        bad = _UNSTORABLE.search(value)
        return f"holds {_NUL if bad[0] == chr(0) else _SURROGATE}, which cannot be stored" if bad else ""
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a finite number"
    if isinstance(value, int) and not MIN_INTEGER <= value <= MAX_INTEGER:
        return "is a number of more than 64 bits"
    return ""


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


_NUL, _SURROGATE = "the character NUL", "half of a surrogate pair"
_TAKE_OUT = "Take the character out"
_CHOOSE = "Write a number that 64 bits can hold"
