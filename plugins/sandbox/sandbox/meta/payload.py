"""The `payload` of a membership call: its schema, its rows, and which rows are badly formed (contract 4.1 and 4.4)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from sandbox.meta.errors import GraphError, invalid

MAX_ROWS = 10_000
MAX_SAMPLES = 100
LDU_KEYS = ("DATA_PROCESSING_OPTIONS", "DATA_PROCESSING_OPTIONS_COUNTRY", "DATA_PROCESSING_OPTIONS_STATE")
LDU_PAIRS = {(1, 1000), (1, 0), (0, 0)}
HASHED = ("EMAIL", "PHONE", "GEN", "DOBY", "DOBM", "DOBD", "LN", "FN", "FI", "CT", "ST", "ZIP", "COUNTRY")
PLAIN = ("MADID", "EXTERN_ID", "UID", "PAGEUID")
KEYS = HASHED + PLAIN
"""The order of the cells of a held row."""

VALUE_KEY = "LOOKALIKE_VALUE"
SINGLE_KEYS = {
    "EMAIL_SHA256": "EMAIL",
    "PHONE_SHA256": "PHONE",
    "MOBILE_ADVERTISER_ID": "MADID",
    "EXTERN_ID": "EXTERN_ID",
    "UID": "UID",
}
APP_SCOPED = {"UID": "app_ids", "PAGEUID": "page_ids"}
HASH_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

_HEX = b"0123456789abcdef"
_UUIDS = re.compile("(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})*")
_DIGITS = re.compile("[0-9]*")

Row = tuple[str, ...]
Column = Sequence[Any]


@dataclass
class Upload:
    """The well-formed rows of a payload with their columns by key, and the count and samples of the others."""

    single: bool
    received: int
    rows: list[Row]
    columns: dict[str, Sequence[str]]
    attributes: dict[Row, dict[str, Any]]
    invalid: int = 0
    samples: dict[str, str] = field(default_factory=dict)


def parse(payload: Any, *, needs_value: bool = False, rows_taken: int | None = None) -> Upload:
    """Read a payload; a row with a badly formed cell, or without any identifier, is counted invalid and not taken.

    `rows_taken` makes all rows after that many invalid without a sample (the `partial` fault). Raises GraphError 100.
    """
    schema, rows, single = _shape(payload)
    if needs_value and VALUE_KEY not in schema:
        raise invalid("Value-Based Custom Audience requires LOOKALIKE_VALUE attribute.")
    columns: dict[str, Column] = dict(zip(schema, zip(*rows, strict=True), strict=True))
    _check_app_scope(payload, schema)
    _check_ldu(columns)
    bad = _badly_formed(columns)
    samples = {sample: key for key, sample in list(bad.values())[:MAX_SAMPLES]}
    refused = set(bad) | set(range(len(rows) if rows_taken is None else rows_taken, len(rows)))
    if refused:
        columns = {key: [c for i, c in enumerate(column) if i not in refused] for key, column in columns.items()}
    count = len(rows) - len(refused)
    taken = _canonical(columns, count)
    identifiers = {key: column for key, column in columns.items() if key in KEYS}
    return Upload(single, len(rows), taken, identifiers, _attributes(columns, taken), len(refused), samples)


def _shape(payload: Any) -> tuple[list[str], Sequence[Sequence[Any]], bool]:
    """Keys, rows as wide as the keys, and whether it is a single-key upload."""
    if not isinstance(payload, dict):
        raise invalid("Param payload must be an object with schema and data")
    schema, data = payload.get("schema"), payload.get("data")
    if not schema or not isinstance(data, list) or not data:
        raise _mismatch()
    if len(data) > MAX_ROWS:
        raise invalid(f"The payload holds {len(data)} rows; at most {MAX_ROWS} are taken in one request")
    single = isinstance(schema, str)
    if single:
        schema, data = [_single_key(schema)], [cell if isinstance(cell, list) else [cell] for cell in data]
    _check_keys(schema)
    if set(map(type, data)) != {list} or set(map(len, data)) != {len(schema)}:
        raise _mismatch()
    return schema, data, single


def _mismatch() -> GraphError:
    return invalid("Data is missing or does not match schema")


def _single_key(schema: str) -> str:
    if schema not in SINGLE_KEYS:
        raise invalid(f"Unknown schema {schema[:40]}")
    return SINGLE_KEYS[schema]


def _check_keys(schema: Any) -> None:
    known = {*KEYS, *LDU_KEYS, VALUE_KEY}
    if not isinstance(schema, list) or not all(isinstance(key, str) and key in known for key in schema):
        raise invalid("The schema holds a key that is not known")
    if len(set(schema)) != len(schema):
        raise invalid("The schema holds a key twice")


def _check_app_scope(payload: dict[str, Any], schema: list[str]) -> None:
    for key, param in APP_SCOPED.items():
        if key in schema and not payload.get(param):
            raise invalid(f"Schema {key} requires {param}")
    pages = payload.get("page_ids")
    if "PAGEUID" in schema and not (isinstance(pages, list) and len(pages) == 1):
        raise invalid("Schema PAGEUID requires exactly one page in page_ids")


def _check_ldu(columns: dict[str, Column]) -> None:
    options, country, state = (columns.get(key, ()) for key in LDU_KEYS)
    if any(cell not in ([], ["LDU"]) for cell in options):
        raise invalid('DATA_PROCESSING_OPTIONS must be [] or ["LDU"]')
    if any(column and not options for column in (country, state)) or bool(country) != bool(state):
        raise invalid("DATA_PROCESSING_OPTIONS, its country and its state go together")
    if not set(map(_ldu_pair, country, state)) <= LDU_PAIRS:
        raise invalid("DATA_PROCESSING_OPTIONS_COUNTRY and _STATE must be one of the published pairs")


def _ldu_pair(country: Any, state: Any) -> tuple[Any, Any]:
    return tuple(int(v) if str(v).isdecimal() else 0 if v == "" else None for v in (country, state))  # type: ignore[return-value]


def _badly_formed(columns: dict[str, Column]) -> dict[int, tuple[str, str]]:
    """Number of each row that is not taken, with the key and the cell to blame."""
    found: dict[int, tuple[str, str]] = {}
    for key, column in columns.items():
        if not _well_formed(key, column):
            found |= {i: (key, str(cell)) for i, cell in enumerate(column) if not _well_formed(key, (cell,))}
    present = [columns[key] for key in KEYS if key in columns]
    if ("",) * len(present) in zip(*present, strict=True):
        found |= {i: (KEYS[0], "") for i, cells in enumerate(zip(*present, strict=True)) if not any(cells)}
    return dict(sorted(found.items()))


def _well_formed(key: str, column: Column) -> bool:
    """Whether all cells are; a clean column is judged at once, many times faster than cell by cell."""
    if key in LDU_KEYS:
        return True
    if key == VALUE_KEY:
        return all(map(_is_value, column))
    if set(map(type, column)) != {str}:
        return False
    if key in HASHED:
        sized = set(map(len, column)) <= {0, 64} and HASH_OF_NOTHING not in column
        return sized and not "".join(column).encode("ascii", "replace").translate(None, _HEX)
    if key == "MADID":
        return set(map(len, column)) <= {0, 36} and _UUIDS.fullmatch("".join(column)) is not None
    return key == "EXTERN_ID" or _DIGITS.fullmatch("".join(column)) is not None


def _is_value(cell: Any) -> bool:
    try:
        return float(cell) >= 0
    except (TypeError, ValueError):
        return False


def _canonical(columns: dict[str, Column], count: int) -> list[Row]:
    cells = (columns.get(key) or repeat("", count) for key in KEYS)
    return list(zip(*cells, strict=True))


def _attributes(columns: dict[str, Column], rows: list[Row]) -> dict[Row, dict[str, Any]]:
    """What a row carries beside its identifiers: its value and its data processing options."""
    names = [key for key in columns if key not in KEYS]
    if not names:
        return {}
    values = zip(*(columns[name] for name in names), strict=True)
    return {row: dict(zip(names, cells, strict=True)) for row, cells in zip(rows, values, strict=True)}
