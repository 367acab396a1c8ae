"""Settings: which files hold the people, and in which columns."""

from typing import Annotated, Literal

from cdp_bridge.sdk import option
from msgspec import Meta, Struct

Path = Annotated[str, Meta(min_length=1)]


class Settings(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Local files of one format; together they are one stream of people."""

    path: Annotated[
        Path,
        option("Path", "A file, or a pattern such as /exports/*.csv", local="pattern", examples=["/exports/vip.csv"]),
    ]
    format: Annotated[
        Literal["auto", "csv", "jsonl", "parquet"],
        option("Format", "auto goes by the suffix: .csv, .jsonl or .ndjson, .parquet"),
    ] = "auto"
    stream: Annotated[str, option("Stream", "What the stream is called")] = "members"
    id_column: Annotated[str | None, option("Id column", "Tells people apart; every file must have it")] = None
    segment_column: Annotated[
        str | None,
        option("Segment column", "Names the segment of a row; without it all are in the one asked for"),
    ] = None
