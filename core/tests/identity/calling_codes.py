"""Derives `data/calling_codes.json` from the metadata of libphonenumber; run as a script, writes it.

The numbers that the file describes are E.164 already: no digit after the country code can be read as a trunk prefix,
and the length is one that the plan has, and no retired form has.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import cdp_bridge.identity
import phonenumbers
import rphonenumbers
from cdp_bridge.identity import numbering

DIGITS = frozenset("0123456789")
LENGTHS = range(10, 16)
"""Of whole numbers, with country code."""


def shapes() -> Iterator[tuple[str, str, int]]:
    """Country code, first digit after it, and number of digits after it, of numbers that can only be E.164."""
    for code in sorted(map(str, rphonenumbers.supported_calling_codes())):
        for first in sorted(DIGITS - {"0"} - national_prefixes(int(code))):
            yield from ((code, first, length) for length in lengths(code))


def lengths(code: str) -> Iterator[int]:
    for length in (whole - len(code) for whole in LENGTHS):
        number = rphonenumbers.PhoneNumber(country_code=int(code), national_number=10 ** (length - 1))
        verdict = rphonenumbers.is_possible_number_with_reason(number)
        if verdict == rphonenumbers.ValidationResult.IS_POSSIBLE and length not in retired_lengths(code):
            yield length


def retired_lengths(code: str) -> set[int]:
    """The lengths of all that a retired form of the plan can match."""
    parse = import_module("re._parser").parse
    found: set[int] = set()
    for form, _ in numbering.RETIRED.get(code, ()):
        shortest, longest = parse(form.pattern).getwidth()
        found |= set(range(shortest, longest + 1))
    return found


def national_prefixes(code: int) -> set[str]:
    """Digits that a national prefix of the plan can begin with."""
    region = phonenumbers.region_code_for_country_code(code)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    assert metadata is not None
    prefix = metadata.national_prefix_for_parsing
    return beginnings(import_module("re._parser").parse(prefix))[0] if prefix else set()


def beginnings(pattern: Any) -> tuple[set[str], bool]:
    """Digits that a match of the parsed pattern can begin with, and whether it can be empty."""
    found: set[str] = set()
    for operation, argument in pattern:
        digits, empty = beginnings_of(str(operation), argument)
        found |= digits
        if not empty:
            return found, False
    return found, True


def beginnings_of(operation: str, argument: Any) -> tuple[set[str], bool]:
    if operation == "LITERAL":
        return {chr(argument)}, False
    if operation == "IN":
        return set().union(*(members(str(kind), value) for kind, value in argument)), False
    if operation == "BRANCH":
        results = [beginnings(branch) for branch in argument[1]]
        return set().union(*(digits for digits, _ in results)), any(empty for _, empty in results)
    if operation == "SUBPATTERN":
        return beginnings(argument[3])
    assert operation in ("MAX_REPEAT", "MIN_REPEAT"), operation
    digits, empty = beginnings(argument[2])
    return digits, empty or argument[0] == 0


def members(kind: str, value: Any) -> set[str]:
    if kind == "CATEGORY":
        return set(DIGITS)
    low, high = value if kind == "RANGE" else (value, value)
    return {chr(code) for code in range(low, high + 1)}


def page() -> str:
    """The file: of each country code the first digits and the lengths, codes that are alike together."""
    firsts, counts = defaultdict(set), defaultdict(set)
    for code, first, length in shapes():
        firsts[code].add(first)
        counts[code].add(length)
    groups = defaultdict(list)
    for code in sorted(firsts, key=int):
        groups["".join(sorted(firsts[code])), tuple(sorted(counts[code]))].append(code)
    lines = [json.dumps([first, list(lengths), codes]) for (first, lengths), codes in sorted(groups.items())]
    return "[\n  " + ",\n  ".join(lines) + "\n]\n"


if __name__ == "__main__":
    assert cdp_bridge.identity.__file__
    path = Path(cdp_bridge.identity.__file__).parent / "data" / "calling_codes.json"
    path.write_text(page(), encoding="utf-8")
