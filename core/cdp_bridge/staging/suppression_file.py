"""Reads a suppression list: plain lines, or a CSV whose header says what its columns are."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cdp_bridge.errors import ConfigError
from cdp_bridge.files import decode_text

DELIMITERS = ",;\t|"
BARE_HASH = ("email", "phone")
"""What a hash may be of, when nothing says it."""

_WHO = "(?:user|contact|primary|work|personal|home|customer|subscriber|profile|person|member|recipient|hashed|sha256)?"
_COLUMNS = {
    "email": rf"{_WHO}e?mails?(?:address(?:es)?|addr|id|value)?(?:sha256|hash|hashed)?\d?",
    "phone": rf"{_WHO}(?:sms|smsphone|phone|mobile|mobilephone|cell|cellphone|telephone|tel|msisdn)s?(?:number|no)?"
    r"(?:sha256|hash|hashed|e164)?\d?",
    "user_id": r"(?:user|external|customer|contact|profile|subscriber|member|person|client)(?:id|key)s?|uid",
    "mobile_ad_id": r"(?:mobile(?:ad|advertising|device)id|(?:device)?advertisingid|madid|maid|idfa|gaid|aaid|adid|ifa)"
    r"s?(?:sha256|hash|hashed)?",
    "hash": "sha256|hash|digest",
    "country": "(?:mailing|billing)?country(?:code)?",
    "flag": "(?:is|has)?(?:unsubscribed|optedout|suppressed)(?:of|fromall)?(?:emails?|sms)?|(?:email|sms)?optout|"
    "donot(?:contact|email|call|sell)",
    "status": "(?:email)?(?:subscription)?(?:marketing)?(?:status|consent)",
}
"""The names of columns, in lower case and without what is neither letter nor digit; reasons, dates and all others are
passed over."""
_NAMING = ("email", "phone", "user_id", "mobile_ad_id", "hash")
_STILL_IN = {"flag": {"0", "f", "false", "n", "no"}, "status": {"subscribed", "optedin", "optin"}}
"""What says, in a list of everybody, that somebody did not opt out; what is empty or unknown does not."""
_NOTHING = {"", "-", "n/a", "#n/a", "na", "nan", "null", "none", "nil"}
_IN_BRACKETS = re.compile(r"<([^<>\s]+@[^<>\s]+)>$")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_MORE_THAN_VALUE = re.compile(f'[{DELIMITERS}"<]')


class Named(NamedTuple):
    """A value by which a list names somebody, as any of the fields; phones are read in the country."""

    value: str
    fields: tuple[str, ...]
    country: str | None = None


class Line(NamedTuple):
    """A line, by number, and whom it names: nobody if there is nothing in it."""

    number: int
    named: list[Named]


def bare(value: str) -> Named:
    """A value of which nothing says what it is."""
    if "@" in value:
        return Named(value, ("email",))
    return Named(value, ("mobile_ad_id",) if _UUID.fullmatch(value) else BARE_HASH)


def read(path: str) -> Iterator[Line]:
    """The lines with something in them; ConfigError with the place of what is no text, or no CSV."""
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the suppression list cannot be read: {getattr(error, 'strerror', None) or 'its name is not possible'}",
            place=os.path.abspath(path),
            remedy="Put it there, or take it out of suppressions",
        ) from None
    try:
        text = decode_text(data)
    except ConfigError as error:
        problem = f"the suppression list cannot be read: it {error.problem}"
        raise ConfigError(problem, place=os.path.abspath(path), remedy=error.remedy) from None
    lines = io.StringIO(text, newline="")
    before, first = 0, ""
    while not first.strip() and (first := lines.readline()):
        before += 1
        # Spreadsheets say in a first line of their own what separates the columns.
        first = "" if re.fullmatch(r"sep=.\s*", first, re.IGNORECASE) else first
    delimiter = max(DELIMITERS, key=lambda mark: len(_naming(_columns(first, mark))))
    columns = _columns(first, delimiter)
    if _naming(columns):
        return _table(path, lines, delimiter, before, columns)
    lines.seek(0)
    return _plain(lines)


def _columns(header: str, delimiter: str) -> list[str]:
    """What each column of a header is, "" where that does not matter."""
    cells = next(csv.reader([header], delimiter=delimiter), [])
    names = list(map(_plain_word, cells))
    kinds = [next((kind for kind, names in _COLUMNS.items() if re.fullmatch(names, name)), "") for name in names]
    # An "id" beside an e-mail address is often that of another system, or a row number.
    is_id = [name == "id" and not _naming(kinds) for name in names]
    return ["user_id" if only else kind for only, kind in zip(is_id, kinds, strict=True)]


def _naming(columns: Sequence[str]) -> list[str]:
    return [column for column in columns if column in _NAMING]


def _table(path: str, lines: io.StringIO, delimiter: str, before: int, columns: list[str]) -> Iterator[Line]:
    reader, start = csv.reader(lines, delimiter=delimiter, strict=True), before
    try:
        for cells in reader:
            number, start = start + 1, before + reader.line_num
            if any(cell.strip() for cell in cells):
                yield from _row(number, list(zip(columns, map(_value, cells), strict=False)))
    except csv.Error:
        raise ConfigError(
            "the line is no CSV: a quote is not closed, text follows a closing one, or a value is endless",
            place=f"{os.path.abspath(path)}:{start + 1}",
            remedy="Double the quotes inside of quoted values, or export the list again",
        ) from None


def _row(number: int, cells: list[tuple[str, str]]) -> Iterator[Line]:
    said = [_plain_word(value) in _STILL_IN[column] for column, value in cells if column in _STILL_IN and value]
    if said and all(said):
        return
    country = next((value for column, value in cells if column == "country" and value), None)
    named = []
    for column, value in cells:
        if column in _NAMING and value.casefold() not in _NOTHING:
            fields = BARE_HASH if column == "hash" else (column,)
            named.append(Named(value, fields, country if column == "phone" else None))
    yield Line(number, named)


def _plain(lines: io.StringIO) -> Iterator[Line]:
    for number, line in enumerate(lines, 1):
        value = line.strip()
        if _MORE_THAN_VALUE.search(value):
            cells = list(filter(None, map(_value, re.split(f"[{DELIMITERS}]", value.replace('"', "")))))
            values = [cell for cell in cells if "@" in cell] or cells[:1]
        else:
            values = [value] if value else []
        # A heading has neither, and every e-mail address, phone, hash or device id has one.
        if values and (number > 1 or re.search(r"[@\d]", values[0])):
            yield Line(number, [bare(value) for value in values])


def _value(cell: str) -> str:
    value = cell.strip().strip('"')
    address = _IN_BRACKETS.search(value) if value.endswith(">") else None
    return address[1] if address else value


def _plain_word(value: str) -> str:
    return re.sub(r"[^a-z0-9]", "", value.casefold())
