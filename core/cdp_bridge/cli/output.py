"""Prints tables and lines for people and JSON for programs; control characters in the texts of others are escaped."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec

from cdp_bridge.texts.visible import visible, visible_json, visible_line

NUMBER = 9
"""The width of a column of numbers in a table that is printed row by row, in characters."""
WIDE = 200
"""The width of tables in a file or pipe, in characters."""


def print_json(value: Any) -> None:
    """One JSON document, structs included, bytes as base64."""
    click.echo(_printable_json(msgspec.json.format(msgspec.json.encode(value), indent=2)))


def print_json_line(value: Any) -> None:
    """The same in one line."""
    click.echo(_printable_json(msgspec.json.encode(value)))


def print_text(text: str, *, err: bool = False) -> None:
    """A text, on stderr if `err`."""
    click.echo(visible(text), err=err)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """A table; None is an empty cell, a float has two decimals, numbers are aligned right, long texts folded."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    rows = list(rows)
    for position, name in enumerate(columns):
        numeric = rows and all(isinstance(row[position], int | float) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        # Text, since a name in square brackets would be read as markup.
        table.add_row(*(Text(_cell(value)) for value in row))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDE).print(table)


class GrowingTable:
    """A table on stdout whose rows are printed as they come; `widths` are those of its first columns, which hold text.

    It writes to what stdout is when it is made.
    """

    def __init__(self, columns: Sequence[str], widths: Sequence[int]) -> None:
        self._columns, self._out = columns, sys.stdout
        self._texts = len(widths)
        self._widths = [
            max(len(name), *widths[i : i + 1], NUMBER if i >= len(widths) else 0) for i, name in enumerate(columns)
        ]
        self._is_new = True

    def add(self, row: Sequence[object]) -> None:
        """Print a row, after the names of the columns if it is the first."""
        if self._is_new:
            self._is_new = False
            self._print(self._columns)
            self._print(["─" * width for width in self._widths])
        self._print([_cell(value) for value in row])

    def _print(self, cells: Sequence[str]) -> None:
        cells = list(map(visible_line, cells))
        padded = [
            cell.ljust(width) if position < self._texts else cell.rjust(width)
            for position, (cell, width) in enumerate(zip(cells, self._widths, strict=True))
        ]
        click.echo("  ".join(padded).rstrip(), file=self._out)


def _printable_json(document: bytes) -> str:
    """The document with escapes for what a terminal must not get, and for what the encoding of stdout does not have."""
    text = visible_json(document.decode())
    if codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8" or text.isascii():
        return text
    return "".join(character if character.isascii() else json.dumps(character)[1:-1] for character in text)


def print_reasons(title: str, counts: Mapping[str, int], *, values: bool = False) -> None:
    """A table of reason codes, counts and meanings; `values`: the codes `field:reason` of refused values."""
    from cdp_bridge.reasons import explained

    print_table((title, "count", "meaning"), explained(counts, values=values))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.2f}" if isinstance(value, float) else visible(str(value))
