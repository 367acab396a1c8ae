"""Filters of lists: the part of AIP-160 that Google names for user lists (google.md 5)."""

import re
from collections.abc import Callable
from typing import Any

from sandbox.google.errors import refuse

FIELDS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "id": lambda shown: shown["id"],
    "display_name": lambda shown: shown.get("displayName", ""),
    "description": lambda shown: shown.get("description", ""),
    "membership_status": lambda shown: shown.get("membershipStatus", ""),
    "integration_code": lambda shown: shown.get("integrationCode", ""),
    "access_reason": lambda shown: shown.get("accessReason", ""),
    "ingested_user_list_info.upload_key_types": lambda shown: shown["ingestedUserListInfo"]["uploadKeyTypes"],
}
_TERM = re.compile(r'\s*([\w.]+)\s*(=|!=|:)\s*("(?:[^"\\]|\\.)*"|[\w.-]+)\s*')
_AND = re.compile(r"AND\s")


def chosen(text: str) -> Callable[[dict[str, Any]], bool]:
    """Whether a list fits: terms `field = "value"`, `!=` and `:` joined by AND. Raises ApiError INVALID_FILTER."""
    terms, place = [], 0
    while place < len(text):
        term = _TERM.match(text, place)
        if term is None or term[1] not in FIELDS:
            refuse("filter", "INVALID_FILTER", "The filter is not understood.")
        value = re.sub(r"\\(.)", r"\1", term[3][1:-1]) if term[3].startswith('"') else term[3]
        terms.append((FIELDS[term[1]], term[2], value))
        place = term.end()
        if place < len(text):
            joint = _AND.match(text, place)
            if joint is None or joint.end() == len(text):
                refuse("filter", "INVALID_FILTER", "The filter is not understood.")
            place = joint.end()
    return lambda shown: all(_fits(read(shown), operator, value) for read, operator, value in terms)


def _fits(found: Any, operator: str, value: str) -> bool:
    if isinstance(found, list):
        return (value in found) != (operator == "!=")
    if operator == ":":
        return value.lower() in str(found).lower()
    return (str(found) == value) != (operator == "!=")
