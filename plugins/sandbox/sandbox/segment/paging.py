"""Pagination of the Public API: dotted and bracket spelling in, opaque cursors out (segment.md section 2.2)."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from sandbox.segment.refusals import invalid

_SPELLINGS = {
    "pagination.count": "count",
    "pagination[count]": "count",
    "pagination.cursor": "cursor",
    "pagination[cursor]": "cursor",
}
_DEFAULT_COUNT = 200


def paged(
    query: Mapping[str, str], name: str, rows: list[Any], maximum: int = 1000, required: bool = True
) -> dict[str, Any]:
    """One page of `rows` under `name`, beside its `pagination` object.

    Raises a 422 for a missing object where it is required, another spelling, a count outside 1 to `maximum` and a
    cursor that this twin never gave out.
    """
    given = _given(query)
    if not given and required:
        raise invalid('"pagination" is required', "pagination")
    if given and "count" not in given:
        raise invalid('"pagination.count" is required', "pagination.count")
    count = _count(given.get("count", str(_DEFAULT_COUNT)), maximum)
    start = _offset(given["cursor"], len(rows)) if "cursor" in given else 0
    pagination: dict[str, Any] = {"current": cursor(start), "totalEntries": len(rows)}
    if start + count < len(rows):
        pagination["next"] = cursor(start + count)
    if start > 0:
        pagination["previous"] = cursor(max(0, start - count))
    return {name: rows[start : start + count], "pagination": pagination}


def cursor(offset: int) -> str:
    """The opaque form of an offset."""
    return base64.b64encode(str(offset).encode()).decode()


def offset(text: str) -> int:
    """The offset behind a cursor. Raises ValueError for anything else."""
    try:
        plain = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("not a cursor") from error
    if not plain.isascii() or not plain.isdigit():
        raise ValueError("not a cursor")
    return int(plain)


def _given(query: Mapping[str, str]) -> dict[str, str]:
    given = {}
    for key, value in query.items():
        if key in _SPELLINGS:
            given[_SPELLINGS[key]] = value
        elif key == "pagination":
            raise invalid('"pagination" must be of type object', "pagination")
        elif key.startswith("pagination"):
            raise invalid(f'"{key}" is not allowed', key)
    return given


def _count(text: str, maximum: int) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= maximum:
        raise invalid(f'"pagination.count" must be a whole number from 1 to {maximum}', "pagination.count")
    return int(text)


def _offset(text: str, total: int) -> int:
    try:
        start = offset(text)
    except ValueError as error:
        raise invalid('"pagination.cursor" is invalid', "pagination.cursor") from error
    if start > total:
        raise invalid('"pagination.cursor" is invalid', "pagination.cursor")
    return start
