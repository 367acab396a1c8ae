"""CSV in every dialect: what a writer wrote is read back, and what was damaged is refused or loses nobody."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cdp_bridge.sdk import ConfigError
from hypothesis import given
from hypothesis import strategies as st
from source_file import csv_file, opening
from source_file.csv_file import read_csv
from source_file.settings import Settings

Rows = list[list[str]]
# No NUL, which no CSV has, and no lone surrogates, which no encoding has.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
MARKS = st.text(st.sampled_from("\"',;\t|\r\n a€"), max_size=6)
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(TEXTS | MARKS, min_size=width, max_size=width), min_size=1, max_size=8)
)
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".csv": lambda text: text,
    ".csv.gz": gzip.compress,
    ".csv.bz2": bz2.compress,
    ".csv.zst": lambda text: bytes(pa.compress(text, codec="zstd", asbytes=True)),
}


def written(rows: Rows, *, delimiter: str = ",", quote: str = '"') -> str:
    text = io.StringIO(newline="")
    names = [f"column{number}" for number in range(len(rows[0]))]
    csv.writer(text, delimiter=delimiter, quotechar=quote, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    return text.getvalue()


def read(content: bytes, suffix: str = ".csv", **settings: Any) -> Rows:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"people{suffix}")
        path.write_bytes(content)
        batches = list(read_csv(path, Settings(path=str(path), **settings)))
    return [
        ["" if value is None else value for value in row.values()] for batch in batches for row in batch.to_pylist()
    ]


@pytest.fixture(params=[7, 100, opening.BLOCK], ids=lambda size: f"{size} bytes a block")
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks end anywhere: in values, between quotes, between CR and LF."""
    monkeypatch.setattr(csv_file, "BLOCK", request.param)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("delimiter", [",", ";", "tab", "|", ":"])
@pytest.mark.parametrize("quote", ['"', "'"])
def test_what_a_writer_wrote_is_read_back(delimiter: str, quote: str) -> None:
    @given(TABLES)
    def hold(rows: Rows) -> None:
        text = written(rows, delimiter="\t" if delimiter == "tab" else delimiter, quote=quote)
        assert read(text.encode(), delimiter=delimiter, quote=quote) == rows

    hold()


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "windows-1252"])
def test_every_encoding_and_compression_is_read(suffix: str, encoding: str) -> None:
    rows = [["Zoë", "a\r\nb"], ["Ünal", '"']] * 50
    assert read(COMPRESS[suffix](written(rows).encode(encoding)), suffix, encoding=encoding) == rows


@given(TABLES, st.data())
def test_one_quote_too_many_or_too_few_loses_nobody(rows: Rows, data: st.DataObject) -> None:
    text = written(rows)
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(text)))
        text = f'{text[:place]}"{text[place:]}'
    else:
        place = data.draw(st.sampled_from([at for at, character in enumerate(text) if character == '"']))
        text = text[:place] + text[place + 1 :]
    try:
        found = read(text.encode())
    except ConfigError:
        return
    assert len(found) == len(rows), "as many people as before"


def test_a_row_may_be_longer_than_a_block() -> None:
    long = ["x" * 3 * opening.BLOCK, "a\n" * opening.BLOCK]
    assert read(written([["1", "2"], long, ["3", "4"]]).encode()) == [["1", "2"], long, ["3", "4"]]


def test_a_row_that_seems_endless_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "MAX_ROW_BYTES", 100)
    monkeypatch.setattr(csv_file, "BLOCK", 50)
    with pytest.raises(ConfigError, match="line 3 begins a value with a quote that does not end"):
        read(b'id,note\n1,x\n2,"y\n' + b"3,z\n" * 100)
    with pytest.raises(ConfigError, match="line 2 is longer than 100 bytes"):
        read(b"id,note\n" + b"x" * 400)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_above_the_header(end: str) -> None:
    lines = ["", "  ", "id,email", "1,ada@example.com", "", "2,bob@example.com"]
    rows = [["1", "ada@example.com"], ["2", "bob@example.com"]]
    assert read(end.join(lines).encode()) == rows
    if end != "\r":
        title = ['Export of "today', "by: me, you"]
        assert read(end.join([*title, *lines]).encode(), skip_lines=2) == rows
        with pytest.raises(ConfigError, match="line 7 has 1 values"):
            read(end.join([*title, *lines[:4], "2"]).encode(), skip_lines=2)


def test_without_quotes_a_quote_is_a_character() -> None:
    assert read(b'id,note\n1,12" pipe\n2,"\n', quote="none") == [["1", '12" pipe'], ["2", '"']]


def test_tsv_is_known_by_its_suffix() -> None:
    assert read(b"id\tnote\n1\ta,b\n", ".tsv") == [["1", "a,b"]]


@pytest.mark.parametrize("encoding", ["none-such", "hex", "rot13"])
def test_an_encoding_that_there_is_not(encoding: str) -> None:
    with pytest.raises(ConfigError, match="there is no encoding"):
        read(b"id\n1\n", encoding=encoding)


def test_a_byte_that_the_encoding_has_not_is_named_by_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "BLOCK", 10)
    with pytest.raises(ConfigError, match="line 4 is not ascii"):
        read(b"id,name\n1,a\n2,b\n3,z\xfcrich\n", encoding="ascii")
