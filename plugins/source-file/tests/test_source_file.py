import gzip
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cdp_bridge import settings as checked
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.sdk import ConfigError, Page, ReadRequest, TransientError
from pyarrow import parquet
from source_file import CONNECTOR, json_lines, parquet_file, source
from source_file.settings import Settings

PEOPLE: list[dict[str, Any]] = [
    {"id": "1", "email": "anna@example.com", "phone": "0049301", "tier": "vip"},
    {"id": "2", "email": "bo,b@example.com", "phone": None, "tier": "basic"},
    {"id": "3", "email": "zoë 😀\nline", "phone": "007", "tier": "vip"},
]
Write = Callable[[Path, list[dict[str, Any]]], None]


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    lines = [",".join(f'"{value}"' if value is not None else "" for value in row.values()) for row in rows]
    path.write_text("\n".join([",".join(rows[0]), *lines]) + "\n", encoding="utf-8")


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    parquet.write_table(pa.Table.from_pylist(rows), path)


WRITERS = {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}


def read(path: Path | str, segment: str | None = "vip", **options: Any) -> list[dict[str, Any]]:
    settings = checked.load(Settings, {"path": str(path), **options})
    pages = list(source.read(settings, ReadRequest(stream=settings.stream, segment=segment)))
    found = [page.records for page in pages]
    return [dict(row) for rows in found for row in (rows if isinstance(rows, Sequence) else rows.to_pylist())]


@pytest.mark.parametrize("form", WRITERS)
def test_values_come_out_as_they_went_in(tmp_path: Path, form: str) -> None:
    WRITERS[form](tmp_path / f"people.{form}", PEOPLE)
    assert read(tmp_path / f"people.{form}") == PEOPLE


@pytest.mark.parametrize("form", WRITERS)
def test_rows_of_one_segment(tmp_path: Path, form: str) -> None:
    WRITERS[form](tmp_path / "people.data", PEOPLE)
    found = read(tmp_path / "people.data", format=form, segment_column="tier", id_column="id")
    assert [row["id"] for row in found] == ["1", "3"]
    with pytest.raises(ConfigError, match="no row belongs to the segment gold"):
        read(tmp_path / "people.data", "gold", format=form, segment_column="tier")


@pytest.mark.parametrize("form", WRITERS)
def test_the_segments_of_a_column_are_listed(tmp_path: Path, form: str) -> None:
    WRITERS[form](tmp_path / f"1.{form}", PEOPLE)
    WRITERS[form](tmp_path / f"2.{form}", [*PEOPLE, PEOPLE[0] | {"tier": None}])
    options = {"path": str(tmp_path / f"*.{form}"), "segment_column": "tier"}
    settings = checked.load(Settings, options)
    assert [stream.name for stream in source.discover(settings).streams] == ["members", "segments"]
    (page,) = source.read(settings, ReadRequest(stream="segments"))
    assert page.records == [{"key": "basic", "size": 2}, {"key": "vip", "size": 4}]
    plain = checked.load(Settings, {"path": options["path"]})
    with pytest.raises(ConfigError, match="no stream segments"):
        list(source.read(plain, ReadRequest(stream="segments")))


@pytest.mark.parametrize("form", WRITERS)
def test_columns_that_the_settings_name_must_exist(tmp_path: Path, form: str) -> None:
    WRITERS[form](tmp_path / f"people.{form}", PEOPLE)
    for option in ("id_column", "segment_column"):
        with pytest.raises(ConfigError, match=rf"people\.{form}: has no column uid\. "):
            read(tmp_path / f"people.{form}", **{option: "uid"})


@pytest.mark.parametrize("form", WRITERS)
def test_large_files_come_in_pages(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "ROWS", 1000)
    monkeypatch.setattr(parquet_file, "ROWS", 1000)
    rows = [{"id": str(number), "email": f"{number:0300}@example.com"} for number in range(10_000)]
    WRITERS[form](tmp_path / f"people.{form}", rows)
    settings = Settings(path=str(tmp_path / f"people.{form}"))
    pages = list(source.read(settings, ReadRequest(stream="members")))
    assert len(pages) > 2
    assert sum(len(page.records) for page in pages) == 10_000


def test_a_pattern_reads_every_file_in_order(tmp_path: Path) -> None:
    for number in (2, 1):
        write_csv(tmp_path / f"part-{number}.csv", [{"id": str(number)}])
    assert [row["id"] for row in read(tmp_path / "*.csv")] == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"id,email\n1,x@example.com\n2,secret@example.com,more\n", "line 3 has 3 values, the header 2"),
        ("b.csv", b"id,email\n1,x@example.com\n2\n", "line 3 has 1 values, the header 2"),
        (
            "p.csv",
            b'id,email\n1,"x@example.com\n2,secret@example.com\n',
            "line 2 begins a value with a quote that does not end",
        ),
        ("c.csv", b"id,email\n1,ok\n2,z\xfcrich\n", "line 3 is not UTF-8"),
        ("d.csv", b"id,na\xefme\n1,x\n", "line 1 is not UTF-8"),
        ("e.csv", "id,email\n1,x\n".encode("utf-16"), "line 1 is not UTF-8"),
        ("f.csv", b"id,id\n1,2\n", "two columns of the same name: columns 1 and 2"),
        ("g.csv", b"id,email\n", "holds no rows"),
        ("h.csv", b"", "holds no rows"),
        ("i.jsonl", b'{"id": 1}\n{"id": secret@example.com}\n', "line 2 is no JSON object"),
        ("j.jsonl", b'{"id": 1}\n[1]\n', "line 2 is no JSON object"),
        ("k.jsonl", b'{"id": "z\xfcrich"}\n', "line 1 is no JSON object"),
        ("l.jsonl", b"\n\n", "holds no rows"),
        ("q.jsonl", b'{"id": ' + b"[" * 5_000, "line 1 is no JSON object"),
        ("m.parquet", b"PAR1 secret@example.com", "damaged, or not a readable Parquet file"),
        ("n.parquet", b"", "damaged, or not a readable Parquet file"),
        ("o.xlsx", b"x", "suffix names no known format"),
        ("r.csv", b'id,note,email\n1,"12 inch,x@example.com\n2,"5 inch,secret@example.com\n', "line 3 has text behind"),
        ("s.csv", b'id,note\n1,x\n2,5" secret\n', "line 3 has a quote inside a value"),
        ("t.csv", b'id,note\n1,"a\nb\nc"secret\n', r"line 4 has text behind .* \(it begins in line 2\)"),
        ("u.csv", b'id,note\n1,"a""\n2,secret\n', "line 2 begins a value with a quote that does not end"),
        ("v.csv", b"id;email\n1;secret\n", "one column only: its separator seems to be a semicolon"),
        ("w.csv", b"id\temail\n1\tsecret\n", "one column only: its separator seems to be a tab"),
        ("x.csv", b"\n\n<!DOCTYPE html>\n<p>secret", "HTML or XML page"),
        ("y.csv", b"PK\x03\x04secret", "zip archive or an Excel workbook"),
        ("z.csv", gzip.compress(b"id,email\n1,secret\n", mtime=0), "is compressed with gzip"),
        ("1.csv.gz", gzip.compress(b"id,email\n1,secret\n", mtime=0)[:-9], "is damaged, or not compressed with gzip"),
        ("2.jsonl.gz", b"no gzip: secret", "is damaged, or not compressed with gzip"),
        ("3.jsonl", b'{"id": 1, "traits": {"a": "secret", "a": 2}}\n', "line 1 has the key 'a' twice"),
        ("4.csv", b"id,email\n1,x\n\n2,y,secret\n", "line 4 has 3 values, the header 2"),
        ("6.jsonl", b'{"id"\t: 1, "id": 2}\n', "line 1 has the key 'id' twice"),
        ("7.jsonl", b'{"i\\u0064": 1, "id": "\\":"}\n', "line 1 has the key 'id' twice"),
        ("8.csv", b'"id";"email"\n"1";"secret,x"\n', "its separator seems to be a semicolon"),
        ("9.csv", b"secret@example.com,x,secret@example.com\n1,2,3\n", "columns 1 and 3"),
        ("5.jsonl", '{"id": 1}'.encode("utf-16"), "line 1 is not UTF-8"),
    ],
)
def test_malformed_files_name_file_and_line_and_quote_nothing(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=said) as caught:
        read(tmp_path / name)
    assert caught.value.place == str(tmp_path / name)
    assert caught.value.remedy
    assert "secret" not in str(caught.value)
    (probe,) = source.check(Settings(path=str(tmp_path / name)))
    # A check reads the first page only; these files are small enough to be one.
    assert (probe.passed, bool(probe.remedy)) == (False, True)


def test_a_truncated_parquet_file(tmp_path: Path) -> None:
    write_parquet(tmp_path / "people.parquet", PEOPLE)
    whole = (tmp_path / "people.parquet").read_bytes()
    (tmp_path / "people.parquet").write_bytes(whole[: len(whole) // 2] + whole[-8:])
    with pytest.raises(ConfigError, match="damaged"):
        read(tmp_path / "people.parquet")


def test_one_empty_file_among_others_is_an_error_too(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", PEOPLE)
    (tmp_path / "b.csv").write_text("id,email\n")
    with pytest.raises(ConfigError, match=r"b\.csv: holds no rows"):
        read(tmp_path / "*.csv")
    assert read(tmp_path / "*.csv", allow_empty_files=True) == PEOPLE
    (tmp_path / "a.csv").write_text("id,email\n")
    with pytest.raises(ConfigError, match="no row belongs to the segment"):
        read(tmp_path / "*.csv", allow_empty_files=True)


def test_no_file_matches(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "*.csv", tmp_path / "missing.csv"):
        with pytest.raises(ConfigError, match="matches no file"):
            read(path)


def test_a_file_that_changes_meanwhile(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", PEOPLE)
    changes: list[Callable[[], None]] = [
        lambda: write_csv(tmp_path / "b.csv", PEOPLE),
        lambda: os.utime(tmp_path / "a.csv", (1, 1)),
        lambda: (tmp_path / "b.csv").unlink(),
    ]
    for change in changes:
        pages = source.read(Settings(path=f"{tmp_path}/*.csv"), ReadRequest(stream="members"))
        assert isinstance(next(pages), Page)
        change()
        with pytest.raises(TransientError, match="changed while they were read"):
            list(pages)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfid,email\n1,x\n")
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"id": "1", "email": "x"}\n')
    assert read(tmp_path / "a.csv") == read(tmp_path / "a.jsonl") == [{"id": "1", "email": "x"}]


@pytest.mark.parametrize("form", WRITERS)
def test_the_catalog_has_the_columns_and_the_key(tmp_path: Path, form: str) -> None:
    WRITERS[form](tmp_path / f"people.{form}", PEOPLE)
    settings = Settings(path=str(tmp_path / f"people.{form}"), stream="customers", id_column="id")
    (stream,) = source.discover(settings).streams
    assert (stream.name, stream.primary_key, stream.membership) == ("customers", ("id",), True)
    assert list(stream.schema["properties"]) == ["id", "email", "phone", "tier"]
    with pytest.raises(ConfigError, match="Ask for customers"):
        list(source.read(settings, ReadRequest(stream="members")))
    assert [probe.passed for probe in source.check(settings)] == [True]


def test_the_registry_finds_the_connector() -> None:
    assert Registry().connector("source-file", "source") == CONNECTOR


SEGMENTS: list[tuple[Any, str | None]] = [
    ("vip", "vip"),
    (True, "true"),
    (False, "false"),
    (7, "7"),
    (7.0, "7"),
    (1.5, "1.5"),
    (None, None),
    ("", None),
]


@pytest.mark.parametrize(("value", "text"), SEGMENTS)
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_segment_is_the_same_text_in_every_format(tmp_path: Path, form: str, value: Any, text: str | None) -> None:
    rows = [{"id": "1", "list": value}, {"id": "2", "list": None}]
    if form == "parquet":
        kind = pa.string() if value is None else pa.scalar(value).type
        table = pa.table({"id": ["1", "2"], "list": pa.array([value, None], kind)})
        parquet.write_table(table, tmp_path / "people.parquet")
    else:
        write_jsonl(tmp_path / "people.jsonl", rows)
    settings = checked.load(Settings, {"path": str(tmp_path / f"people.{form}"), "segment_column": "list"})
    (page,) = source.read(settings, ReadRequest(stream="segments"))
    assert page.records == ([] if text is None else [{"key": text, "size": 1}])
    for asked in {"None", "null", "True", "7.0", text} - {None}:
        if asked == text:
            assert [row["id"] for row in read(tmp_path / f"people.{form}", asked, segment_column="list")] == ["1"]
        else:
            with pytest.raises(ConfigError, match="no row belongs"):
                read(tmp_path / f"people.{form}", asked, segment_column="list")


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("value", [["vip"], {"name": "vip"}])
def test_a_segment_column_that_is_no_text_says_so(tmp_path: Path, form: str, value: Any) -> None:
    WRITERS[form](tmp_path / f"people.{form}", [{"id": "1", "lists": value}])
    with pytest.raises(ConfigError, match="in the column lists, which names no segment"):
        read(tmp_path / f"people.{form}", segment_column="lists")


def test_a_column_that_only_some_json_objects_have_is_there(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "people.jsonl", [{"id": "1"}, {"id": "2", "tier": "vip"}])
    assert [row["id"] for row in read(tmp_path / "people.jsonl", segment_column="tier", id_column="id")] == ["2"]


def test_a_column_that_is_misspelt_is_named(tmp_path: Path) -> None:
    write_csv(tmp_path / "people.csv", PEOPLE)
    with pytest.raises(ConfigError, match=r"has no column teir\. Did you mean 'tier'"):
        read(tmp_path / "people.csv", segment_column="teir")


def test_what_is_no_number_names_no_segment(tmp_path: Path) -> None:
    table = pa.table({"id": ["1", "2", "3"], "list": [float("nan"), float("inf"), 2.0]})
    parquet.write_table(table, tmp_path / "people.parquet")
    settings = checked.load(Settings, {"path": str(tmp_path / "people.parquet"), "segment_column": "list"})
    (page,) = source.read(settings, ReadRequest(stream="segments"))
    assert page.records == [{"key": "2", "size": 1}]
