"""Reads JSON lines: one object a line, in UTF-8; blank lines are passed over."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from source_file.opening import BLOCK, malformed, opened
from source_file.settings import Settings

ROWS = 20_000
"""Rows of a page."""
MAX_LINE_BYTES = 64_000_000
_BOM = b"\xef\xbb\xbf"
_MARK = re.compile(rb'"\s*:')
Record = dict[str, Any]


def read_json_lines(path: Path, settings: Settings) -> Iterator[list[Record]]:
    """Pages of objects; ConfigError for a line that is none, or has a key twice."""
    with opened(path, settings.compression) as stream:
        records = _records(path, stream)
        while page := list(islice(records, ROWS)):
            yield page


def _records(path: Path, stream: pa.NativeFile) -> Iterator[Record]:
    decode = msgspec.json.Decoder(Record).decode
    for number, line in enumerate(_lines(path, stream), 1):
        text = line.strip()
        if not text:
            continue
        try:
            record = decode(text)
            _refuse_twice(path, number, text, record)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise malformed(path, f"line {number} is no JSON object in UTF-8", "Repair it") from None
        yield record


def _lines(path: Path, stream: pa.NativeFile) -> Iterator[bytes]:
    pending = stream.read(BLOCK)
    if pending.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise malformed(path, "is UTF-16: line 1 is not UTF-8", "Save it as UTF-8")
    pending = pending.removeprefix(_BOM)
    while block := stream.read(BLOCK):
        *lines, rest = (pending + block).split(b"\n")
        yield from lines
        if len(rest) > MAX_LINE_BYTES:
            raise malformed(path, f"has a line of more than {MAX_LINE_BYTES:,} bytes", "Write one object a line")
        pending = rest
    yield from pending.split(b"\n")


def _refuse_twice(path: Path, number: int, text: bytes, record: Record) -> None:
    """ConfigError for an object with a key twice, of which a decoder keeps one without a word."""
    # As many keys as in the text: none was lost. Else a text has such a mark in it, and a slower look decides.
    if len(_MARK.findall(text)) == _keys(record):
        return

    def pairs(given: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in given]
        for name in names:
            if names.count(name) > 1:
                raise malformed(path, f"line {number} has the key {name!r} twice", "Write each key once")

    json.loads(text, object_pairs_hook=pairs)


def _keys(value: Any) -> int:
    """How many keys the objects in a value have."""
    if isinstance(value, dict):
        return len(value) + sum(_keys(part) for part in value.values() if isinstance(part, dict | list))
    if isinstance(value, list):
        return sum(_keys(part) for part in value if isinstance(part, dict | list))
    return 0
