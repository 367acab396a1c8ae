"""A date of birth as YYYYMMDD, or YYYY when no more is known."""

import re
from datetime import UTC, date, datetime

from cdp_bridge.identity.refusal import refusal

_TIME = r"(?:[T ][0-9:.,Z+\- ]*)?"
_YEAR_FIRST = re.compile(rf"([0-9]{{4}})([-/.]?)([0-9]{{1,2}})\2([0-9]{{1,2}}){_TIME}")
_YEAR_LAST = re.compile(rf"([0-9]{{1,2}})([-/.])([0-9]{{1,2}})\2([0-9]{{4}}){_TIME}")
_YEAR = re.compile("[0-9]{4}")


def birth_date(raw: str) -> str:
    """YYYYMMDD or YYYY, or a refusal (`invalid`, `ambiguous`, `out_of_range`, `placeholder`).

    Read are year-month-day (also run together, also with a time behind), year alone, and year last: with dots the day
    comes first, with `/` or `-` only if one of the two is over 12 or both are equal. The range is 1900 to today.
    """
    if _YEAR.fullmatch(raw):
        return _within_range(date(max(int(raw), 1), 1, 1), raw)
    if match := _YEAR_FIRST.fullmatch(raw):
        year, separator, month, day = match.groups()
        return refusal("invalid") if not separator and len(raw) < len("YYYYMMDD") else _calendar(year, month, day)
    if match := _YEAR_LAST.fullmatch(raw):
        first, separator, second, year = match.groups()
        if separator == "." or int(first) > 12:
            return _calendar(year, second, first)
        return _calendar(year, first, second) if int(second) > 12 or first == second else refusal("ambiguous")
    return refusal("invalid")


def _calendar(year: str, month: str, day: str) -> str:
    try:
        born = date(int(year), int(month), int(day))
    except ValueError:
        return refusal("invalid")
    return refusal("placeholder") if born == date(1900, 1, 1) else _within_range(born, f"{born:%Y%m%d}")


def _within_range(born: date, text: str) -> str:
    return text if date(1900, 1, 1) <= born <= datetime.now(UTC).date() else refusal("out_of_range")
