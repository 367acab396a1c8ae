"""Reads CSV strictly (RFC 4180, in any dialect): what is not well-formed is refused with its line, and no row is lost.

A file is cut into blocks of whole rows by the positions of its quotes, which are checked on the way; Arrow then parses
each block. So a value may be as long as a row, and a row as long as `MAX_ROW_BYTES`.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv

from source_file.opening import BLOCK, TABBED, malformed, opened, refuse_twice
from source_file.settings import Settings

MAX_ROW_BYTES = 64_000_000
"""The longest row that is read; one that seems longer has a quote that does not end."""
_BOM = b"\xef\xbb\xbf"
_BLANK_LINES = re.compile(rb"\A(?:[ \t]*(?:\r\n|\n|\r))+")
_SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
_QUOTING = "Quote whole values, and double the quotes inside them"
Positions = np.ndarray[tuple[int], np.dtype[np.intp]]


class Dialect(NamedTuple):
    """How values and rows are told apart; `quote` is empty where values are not quoted."""

    delimiter: str
    quote: str
    newline: bytes = b"\n"


class Rows(NamedTuple):
    """Whole rows as UTF-8, and the number of their first line."""

    text: bytes
    line: int


def read_csv(path: Path, settings: Settings) -> Iterator[pa.RecordBatch]:
    """Batches of rows below the header, all values text (a phone keeps its zeros), an empty one null."""
    with opened(path, settings.compression) as stream:
        blocks = _without_lines(_utf8(path, stream, settings.encoding), settings.skip_lines)
        first = next(blocks, b"")
        dialect = _dialect(path, settings, first)
        _refuse_other_separator(path, dialect, first)
        rows = _whole_rows(path, dialect, chain([first], blocks), settings.skip_lines + 1)
        header, below = _split_header(dialect, rows)
        if header is None:
            return
        names = _names(path, dialect, header)
        for block in chain([below], rows):
            if block.text:
                yield from _parsed(path, dialect, names, block)


def _dialect(path: Path, settings: Settings, first: bytes) -> Dialect:
    is_tabbed = not TABBED.isdisjoint(map(str.lower, path.suffixes))
    delimiter = settings.delimiter or ("tab" if is_tabbed else ",")
    quote = "" if settings.quote == "none" else settings.quote
    if delimiter == quote:
        raise malformed(path, f"cannot have {quote} as delimiter and as quote", "Set quote to another, or to none")
    newline = b"\r" if b"\r" in first and b"\n" not in first else b"\n"
    return Dialect("\t" if delimiter == "tab" else delimiter, quote, newline)


def _refuse_other_separator(path: Path, dialect: Dialect, first: bytes) -> None:
    """ConfigError if the header has no delimiter, but something else that separates values in other files."""
    lines = (line for line in first.split(dialect.newline, 100) if line.strip())
    header = next(lines, b"").decode("utf-8", "replace")
    found = next((mark for mark in _SEPARATORS if mark in header), None)
    if found and dialect.delimiter not in header:
        problem = f"has one column only: its separator seems to be {_SEPARATORS[found]}"
        raise malformed(path, problem, f"Set delimiter to {'tab' if found == chr(9) else found}")


def _utf8(path: Path, stream: pa.NativeFile, encoding: str) -> Iterator[bytes]:
    """The text in blocks of UTF-8, without a byte order mark."""
    try:
        # Codecs that make no text of bytes (hex, rot13) are no encodings: only str.encode knows the difference.
        "".encode(encoding)
        decoder = codecs.getincrementaldecoder(encoding)()
    except LookupError:
        raise malformed(path, f"cannot be read: there is no encoding {encoding}", "Such as utf-8 or cp1252") from None
    is_utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    block = stream.read(BLOCK)
    if is_utf8:
        if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in block[:2]:
            raise malformed(path, "is UTF-16: line 1 is not UTF-8", "Save it as UTF-8, or set encoding to utf-16")
        block = block.removeprefix(_BOM)
        while block:
            yield block
            block = stream.read(BLOCK)
        return
    line = 1
    while True:
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            line += block[: error.start].count(b"\n")
            raise malformed(path, f"line {line} is not {encoding}", "Set encoding to what it was saved in") from None
        line += text.count("\n")
        if text:
            yield text.removeprefix("\ufeff").encode()
        if not block:
            return
        block = stream.read(BLOCK)


def _without_lines(blocks: Iterator[bytes], count: int) -> Iterator[bytes]:
    """The blocks without their first lines, whatever is in these."""
    for block in blocks:
        lines = block.split(b"\n", count)
        count -= len(lines) - 1
        if lines[-1] and not count:
            yield lines[-1]


def _whole_rows(path: Path, dialect: Dialect, blocks: Iterator[bytes], line: int) -> Iterator[Rows]:
    """The same text, cut where rows end; ConfigError for a quote that is not where a value begins or ends."""
    pending = b""
    for block in chain(blocks, [b""]):
        is_last = not block
        pending += block
        quotes = _positions(pending, dialect.quote.encode())
        _check_quotes(path, dialect, pending, quotes, line)
        ends = _outside(_positions(pending, dialect.newline), quotes)
        if is_last or (len(pending) > MAX_ROW_BYTES and not len(ends)):
            _refuse_open(path, pending, quotes, line)
        end = len(pending) if is_last else int(ends[-1]) + 1 if len(ends) else 0
        if end:
            yield Rows(pending[:end], line)
            line += pending.count(dialect.newline, 0, end)
            pending = pending[end:]


def _positions(text: bytes, character: bytes) -> Positions:
    if not character:
        return np.empty(0, np.intp)
    return np.flatnonzero(np.frombuffer(text, np.uint8) == character[0])


def _outside(positions: Positions, quotes: Positions) -> Positions:
    """Those that are not between two quotes."""
    return positions[np.searchsorted(quotes, positions) % 2 == 0] if len(quotes) else positions


def _check_quotes(path: Path, dialect: Dialect, text: bytes, quotes: Positions, line: int) -> None:
    """Each quote that opens is the first of a value, each that closes the last; two together are one inside."""
    if not len(quotes):
        return
    data = np.frombuffer(text, np.uint8)
    edges = np.frombuffer(f"{dialect.delimiter}\r\n{dialect.quote}".encode(), np.uint8)
    opening, closing = quotes[0::2], quotes[1::2]
    inner, followed = opening[opening > 0], closing[closing < len(data) - 1]
    early = inner[~np.isin(data[inner - 1], edges)]
    late = followed[~np.isin(data[followed + 1], edges)]
    for wrong, problem in (
        (early, "has a quote inside a value that does not begin with one"),
        (late, "has text behind the quote that ends a value"),
    ):
        if len(wrong):
            at = line + text.count(dialect.newline, 0, int(wrong[0]))
            begins = _beginning(text, dialect, quotes, int(wrong[0]), line)
            since = f" (it begins in line {begins})" if wrong is late and begins != at else ""
            raise malformed(path, f"line {at} {problem}{since}", _QUOTING)


def _beginning(text: bytes, dialect: Dialect, quotes: Positions, closing: int, line: int) -> int:
    """The line in which the value begins that a quote closes."""
    number = int(np.searchsorted(quotes, closing)) - 1
    while number > 0 and quotes[number] - quotes[number - 1] == 1:
        number -= 2
    return line + text.count(dialect.newline, 0, int(quotes[max(number, 0)]))


def _refuse_open(path: Path, text: bytes, quotes: Positions, line: int) -> None:
    """ConfigError for a value whose quote does not close."""
    if len(quotes) % 2:
        opening = len(quotes) - 1
        while opening > 0 and quotes[opening] - quotes[opening - 1] == 1:
            opening -= 2
        begins = line + text.count(b"\n", 0, int(quotes[max(opening, 0)]))
        raise malformed(path, f"line {begins} begins a value with a quote that does not end", _QUOTING)
    if len(text) > MAX_ROW_BYTES:
        raise malformed(path, f"line {line} is longer than {MAX_ROW_BYTES:,} bytes", "Look for missing line ends")


def _split_header(dialect: Dialect, rows: Iterator[Rows]) -> tuple[Rows | None, Rows]:
    """The first row that is not blank, and what is left of its block."""
    for text, line in rows:
        blank = _BLANK_LINES.match(text)
        start = blank.end() if blank else 0
        if text[start:].strip():
            line += text.count(dialect.newline, 0, start)
            text = text[start:]
            ends = _outside(_positions(text, dialect.newline), _positions(text, dialect.quote.encode()))
            end = int(ends[0]) + 1 if len(ends) else len(text)
            return Rows(text[:end], line), Rows(text[end:], line + text.count(dialect.newline, 0, end))
    return None, Rows(b"", 1)


def _names(path: Path, dialect: Dialect, header: Rows) -> list[str]:
    try:
        names: list[str] = next(_values(dialect, header.text.decode().strip("\r\n")))
    except UnicodeDecodeError:
        raise malformed(path, f"line {header.line} is not UTF-8", _encoding_remedy()) from None
    except (StopIteration, csv.Error):
        raise malformed(path, f"line {header.line} is no readable header", _QUOTING) from None
    refuse_twice(path, names)
    return names


def _values(dialect: Dialect, text: str) -> Any:
    """Python's own reader, which knows its line."""
    how: dict[str, Any] = {"quotechar": dialect.quote} if dialect.quote else {"quoting": csv.QUOTE_NONE}
    return csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter, strict=True, **how)


def _parsed(path: Path, dialect: Dialect, names: list[str], rows: Rows) -> Iterator[pa.RecordBatch]:
    read = pa.csv.ReadOptions(column_names=names, block_size=len(rows.text) + 1)
    parse = pa.csv.ParseOptions(delimiter=dialect.delimiter, quote_char=dialect.quote or False, newlines_in_values=True)
    texts = {name: pa.string() for name in names}
    convert = pa.csv.ConvertOptions(column_types=texts, strings_can_be_null=True, null_values=[""])
    try:
        table = pa.csv.read_csv(pa.BufferReader(rows.text), read, parse, convert)
    except pa.ArrowInvalid:
        # Arrow's own message quotes the row, which holds personal data.
        raise _fault(path, dialect, rows, len(names)) from None
    yield from table.to_batches()


def _fault(path: Path, dialect: Dialect, rows: Rows, width: int) -> Exception:
    """The first line that is not UTF-8, or has too many or too few values."""
    try:
        text = rows.text.decode()
    except UnicodeDecodeError as error:
        line = rows.line + rows.text.count(dialect.newline, 0, error.start)
        return malformed(path, f"line {line} is not UTF-8", _encoding_remedy())
    begins, limit = rows.line, csv.field_size_limit(MAX_ROW_BYTES)
    try:
        reader = _values(dialect, text)
        for values in reader:
            if values and len(values) != width:
                return malformed(path, f"line {begins} has {len(values)} values, the header {width}", _QUOTING)
            begins = rows.line + reader.line_num
    finally:
        # The limit is that of the whole process.
        csv.field_size_limit(limit)
    return malformed(path, f"line {rows.line} or one below is not well-formed CSV", _QUOTING)


def _encoding_remedy() -> str:
    return "Save it as UTF-8, or set encoding to what it was saved in"
