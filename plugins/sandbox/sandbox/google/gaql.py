"""Parses and validates the query language of the Google Ads API (google.md 12 and row 38)."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sandbox.google.ads_errors import refuse

_QUERY = re.compile(
    r"\s*SELECT\s+(?P<fields>[\w.,\s]+?)\s+FROM\s+(?P<resource>\w+)(?:\s+WHERE\s+(?P<where>.+?))?"
    r"(?:\s+ORDER\s+BY\s+(?P<order>[\w.,\s]+?))?(?:\s+LIMIT\s+(?P<limit>\d+))?(?:\s+PARAMETERS\s+.+)?\s*",
    re.IGNORECASE | re.DOTALL,
)
_VALUE = r"(?:'[^']*'|\"[^\"]*\"|-?[\w.]+)"
_CONDITION = re.compile(
    rf"\s*(?P<field>[\w.]+)\s*(?:(?P<operator>=|!=|>=|<=|>|<|LIKE|DURING)\s*(?P<value>{_VALUE})"
    rf"|(?P<list>NOT\s+IN|IN)\s*\((?P<values>\s*{_VALUE}(?:\s*,\s*{_VALUE})*\s*)\)"
    rf"|BETWEEN\s+(?P<low>{_VALUE})\s+AND\s+(?P<high>{_VALUE}))\s*(?:AND\s+(?=\S)|$)",
    re.IGNORECASE,
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d|\d{8}")


@dataclass(frozen=True)
class Condition:
    """One condition: field, operator in capitals, and its values as text."""

    field: str
    operator: str
    values: tuple[str, ...]

    def fits(self, found: Any) -> bool:
        """Whether a value fits; numbers are compared as numbers."""
        if self.operator in ("=", "IN"):
            return text(found) in self.values
        if self.operator in ("!=", "NOT IN"):
            return text(found) not in self.values
        if self.operator == "LIKE":
            pattern = ".*".join(map(re.escape, self.values[0].split("%")))
            return re.fullmatch(pattern, text(found), re.IGNORECASE) is not None
        low, high = key(self.values[0]), key(self.values[-1])
        mine = key(text(found))
        if self.operator == "BETWEEN":
            return low <= mine <= high
        return {">": mine > low, ">=": mine >= low, "<": mine < low, "<=": mine <= low}[self.operator]


@dataclass(frozen=True)
class Query:
    """A query: fields, resource, conditions, (field, descending) to order by, and how many rows at most."""

    fields: tuple[str, ...]
    resource: str
    conditions: tuple[Condition, ...]
    order: tuple[tuple[str, bool], ...]
    limit: int | None

    def names(self) -> set[str]:
        """Every field that it names."""
        return {*self.fields, *(each.field for each in self.conditions), *(field for field, _ in self.order)}


def parse(query: str) -> Query:
    """Raises ApiError with `queryError` when it is no query."""
    found = _QUERY.fullmatch(query)
    if found is None:
        refuse("queryError", "UNEXPECTED_INPUT" if "select" in query.lower() else "EXPECTED_SELECT", "Error in query.")
    fields = tuple(name.strip() for name in found["fields"].split(","))
    if not all(re.fullmatch(r"\w+(\.\w+)+", name) for name in fields):
        refuse("queryError", "BAD_FIELD_NAME", "Error in query: a field of the SELECT clause is no name.")
    order = tuple(_ordered(part) for part in (found["order"] or "").split(",") if part.strip())
    limit = None if found["limit"] is None else int(found["limit"])
    return Query(fields, found["resource"].lower(), _conditions(found["where"] or ""), order, limit)


def days(condition: Condition, today: date) -> tuple[date, date] | None:
    """The first and last day of a condition on `segments.date`; None when it leaves one end open."""
    if condition.operator == "DURING":
        span = _literals(today).get(condition.values[0].upper())
        if span is None:
            refuse("queryError", "INVALID_VALUE_WITH_DURING_OPERATOR", "Error in query: no such range of dates.")
        return span
    made = [_day(value) for value in condition.values]
    return (made[0], made[-1]) if condition.operator in ("=", "BETWEEN") else None


def bounds(conditions: tuple[Condition, ...], today: date) -> tuple[date, date] | None:
    """The days that all conditions on `segments.date` leave; None when they leave one end open."""
    low: date | None = None
    high: date | None = None
    for condition in conditions:
        span = days(condition, today)
        if span is not None:
            low, high = span
        elif condition.operator in (">", ">="):
            low = _day(condition.values[0]) + timedelta(days=condition.operator == ">")
        elif condition.operator in ("<", "<="):
            high = _day(condition.values[0]) - timedelta(days=condition.operator == "<")
    return None if low is None or high is None else (low, high)


def _conditions(text: str) -> tuple[Condition, ...]:
    found, place = [], 0
    while place < len(text):
        each = _CONDITION.match(text, place)
        if each is None:
            refuse("queryError", "UNEXPECTED_INPUT", "Error in query: unexpected input in the WHERE clause.")
        if each["list"]:
            operator, values = " ".join(each["list"].upper().split()), re.findall(_VALUE, each["values"])
        elif each["low"]:
            operator, values = "BETWEEN", [each["low"], each["high"]]
        else:
            operator, values = each["operator"].upper(), [each["value"]]
        found.append(Condition(each["field"].lower(), operator, tuple(value.strip("'\"") for value in values)))
        place = each.end()
    return tuple(found)


def _ordered(part: str) -> tuple[str, bool]:
    name, *way = part.split()
    if len(way) > 1 or (way and way[0].upper() not in ("ASC", "DESC")):
        refuse("queryError", "UNEXPECTED_INPUT", "Error in query: unexpected input in the ORDER BY clause.")
    return name, bool(way) and way[0].upper() == "DESC"


def _literals(today: date) -> dict[str, tuple[date, date]]:
    yesterday, first = today - timedelta(days=1), today.replace(day=1)
    last_month = first - timedelta(days=1)
    named = {"TODAY": (today, today), "YESTERDAY": (yesterday, yesterday), "THIS_MONTH": (first, today)}
    named["LAST_MONTH"] = last_month.replace(day=1), last_month
    return named | {f"LAST_{n}_DAYS": (today - timedelta(days=n), yesterday) for n in (7, 14, 30)}


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text if _DAY.fullmatch(text) else "")
    except ValueError:
        refuse("queryError", "INVALID_DATE_FORMAT", "Error in query: a date is YYYY-MM-DD or YYYYMMDD.")


def text(value: Any) -> str:
    """A value as a query writes it."""
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def key(text: str) -> tuple[float, str]:
    """What orders values: numbers by size, others by their letters."""
    try:
        return float(text), ""
    except ValueError:
        return 0.0, text
