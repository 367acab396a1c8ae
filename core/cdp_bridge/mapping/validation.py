"""Turns the JSON Schema keywords of a mapping's validation into SQL conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cdp_bridge.mapping.paths import literal

_FORMATS = {
    "date": "TRY_CAST({v} AS DATE) IS NOT NULL AND regexp_full_match({v}, '\\d{{4}}-\\d{{2}}-\\d{{2}}')",
    "date-time": "TRY_CAST({v} AS TIMESTAMP) IS NOT NULL AND regexp_matches({v}, '^\\d{{4}}-\\d\\d-\\d\\d[Tt ]\\d')",
    "email": "regexp_full_match({v}, '[^\\s@]+@[^\\s@.]+(\\.[^\\s@.]+)+')",
    "uri": "regexp_full_match({v}, '[A-Za-z][A-Za-z0-9+.-]*:\\S+')",
    "uuid": "regexp_full_match({v}, '[0-9A-Fa-f]{{8}}(-[0-9A-Fa-f]{{4}}){{3}}-[0-9A-Fa-f]{{12}}')",
}
_TYPES = {
    "boolean": "{v} IN ('true', 'false')",
    "integer": "regexp_full_match({v}, '-?\\d+')",
    "number": "regexp_full_match({v}, '-?\\d+(\\.\\d+)?([eE][-+]?\\d+)?')",
    "string": "true",
}
_NUMBER = {"type": "number"}
_COUNT = {"type": "integer", "minimum": 0}
_VALUE = {"type": ["string", "number", "boolean"]}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "JSON Schema keywords that each value must fulfil",
    "additionalProperties": False,
    "properties": {
        "type": {"enum": sorted(_TYPES)},
        "minLength": _COUNT,
        "maxLength": _COUNT,
        "pattern": {"type": "string", "description": "A regular expression (RE2) that matches somewhere in the value"},
        "enum": {"type": "array", "items": _VALUE, "minItems": 1, "maxItems": 1_000},
        "const": _VALUE,
        "minimum": _NUMBER,
        "maximum": _NUMBER,
        "exclusiveMinimum": _NUMBER,
        "exclusiveMaximum": _NUMBER,
        "format": {"enum": sorted(_FORMATS)},
    },
}
"""The JSON schema of a mapping's `validation`."""


def conditions(validation: Mapping[str, Any], value: str) -> dict[str, str]:
    """Keyword -> SQL that is true where `value` (SQL, not NULL) fulfils it; `validation` fits `SCHEMA`."""
    return {keyword: _KEYWORDS[keyword](value, rule) for keyword, rule in validation.items()}


def _compare(operator: str) -> Callable[[str, Any], str]:
    return lambda value, bound: (
        f"coalesce(TRY_CAST({value} AS DOUBLE) {operator} {literal(repr(float(bound)))}::DOUBLE, false)"
    )


def _one_of(value: str, allowed: list[Any]) -> str:
    return f"{value} IN ({', '.join(literal(_text(one)) for one in allowed)})"


def _text(value: Any) -> str:
    """A value as the mapping writes it: see `paths`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


_KEYWORDS: dict[str, Callable[[str, Any], str]] = {
    "type": lambda value, name: _TYPES[name].format(v=value),
    "minLength": lambda value, count: f"length({value}) >= {int(count)}",
    "maxLength": lambda value, count: f"length({value}) <= {int(count)}",
    "pattern": lambda value, pattern: f"regexp_matches({value}, {literal(pattern)})",
    "enum": _one_of,
    "const": lambda value, only: _one_of(value, [only]),
    "minimum": _compare(">="),
    "maximum": _compare("<="),
    "exclusiveMinimum": _compare(">"),
    "exclusiveMaximum": _compare("<"),
    "format": lambda value, name: _FORMATS[name].format(v=value),
}
