"""Settings: which files hold the people, how they are written, and in which columns who is."""

from typing import Annotated, Literal

from cdp_bridge.sdk import option
from msgspec import Meta, Struct

Path = Annotated[str, Meta(min_length=1)]
Format = Literal["auto", "csv", "jsonl", "parquet"]
Compression = Literal["auto", "none", "gzip", "bz2", "zstd"]
Delimiter = Annotated[str, Meta(pattern=r'^(tab|[^A-Za-z0-9"\r\n])$')]
Quote = Annotated[str, Meta(pattern=r"^(none|[^A-Za-z0-9\r\n])$")]
Lines = Annotated[int, Meta(ge=0, le=1_000_000)]


class Settings(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Local files of one format; together they are one stream of people."""

    path: Annotated[
        Path,
        option("Path", "A file, or a pattern such as /exports/*.csv", local="pattern", examples=["/exports/vip.csv"]),
    ]
    format: Annotated[
        Format, option("Format", "auto goes by the suffix: .csv, .tsv or .tab, .jsonl or .ndjson, .parquet")
    ] = "auto"
    compression: Annotated[
        Compression, option("Compression", "Of CSV and JSON lines; auto goes by a last suffix .gz, .bz2 or .zst")
    ] = "auto"
    delimiter: Annotated[
        Delimiter | None,
        option(
            "Delimiter",
            "Between values of CSV: one character, or tab; unless given a comma, in .tsv and .tab a tab",
        ),
    ] = None
    quote: Annotated[Quote, option("Quote", "Around values of CSV: one character, doubled inside them, or none")] = '"'
    encoding: Annotated[
        str, option("Encoding", "Of CSV", examples=["utf-8", "utf-16", "windows-1252", "iso-8859-1"])
    ] = "utf-8"
    skip_lines: Annotated[Lines, option("Lines to skip", "Above the header of CSV, such as a title")] = 0
    allow_empty_files: Annotated[
        bool, option("Allow empty files", "Single files of a pattern may have no rows, but not all of them")
    ] = False
    stream: Annotated[str, option("Stream", "What the stream is called")] = "members"
    id_column: Annotated[str | None, option("Id column", "Tells people apart; every file must have it")] = None
    segment_column: Annotated[
        str | None,
        option("Segment column", "Names the segment of a row; without it all are in the one asked for"),
    ] = None
