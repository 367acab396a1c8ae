"""Reads Google's match rate ranges (google.md 6 and 10.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence

_RANGE = re.compile(r"(?:[A-Z]+_)*?(?:(\d+)_TO_(\d+)|LESS_THAN_(\d+))")


def interval(text: str) -> tuple[float, float] | None:
    """`MATCH_RATE_RANGE_41_TO_50` as (0.41, 0.5); None for one that says nothing, such as `NOT_ELIGIBLE`."""
    named = _RANGE.fullmatch(text)
    if named is None:
        return None
    lower, upper, below = named.groups()
    return (0.0, int(below) / 100) if below else (int(lower) / 100, int(upper) / 100)


def hull(ranges: Sequence[str]) -> tuple[float, float] | None:
    """The interval that holds those of all parts of an upload; None where a part says nothing."""
    intervals = [interval(text) for text in ranges]
    known = [bounds for bounds in intervals if bounds is not None]
    if not known or len(known) < len(intervals):
        return None
    return min(lower for lower, _ in known), max(upper for _, upper in known)
