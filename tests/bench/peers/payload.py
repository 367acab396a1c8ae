"""What all peers do with one person: the mapping, the rules of Meta's profile, and the payload that is then dropped.

It stands on the standard library and phonenumbers, as a connector's author would write it; no part of the bridge.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import phonenumbers
import pyarrow.parquet

SCHEMA = ("EMAIL", "PHONE", "FN", "LN", "CT", "ZIP", "COUNTRY")
FIELDS = ("id", "email_address", "telephone", "given_name", "family_name", "town", "postcode", "country_code")
ROWS = 10_000

Row = tuple[str, ...]


def records(path: str) -> Iterator[dict[str, Any]]:
    """The people of a Parquet file."""
    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=ROWS):
            yield from batch.to_pylist()


def row(record: Mapping[str, Any]) -> Row:
    """One person as Meta takes it."""
    country = record["country_code"].strip().lower()
    return (
        _sha256(record["email_address"].strip().lower()),
        _sha256(phone(record["telephone"], country.upper())),
        _sha256(_name(record["given_name"])),
        _sha256(_name(record["family_name"])),
        _sha256(re.sub("[^a-z]", "", record["town"].strip().lower())),
        _sha256(_postcode(record["postcode"], country)),
        _sha256(country),
    )


def phone(raw: str, country: str) -> str:
    """Digits with country code."""
    number = phonenumbers.parse(raw, country)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164).lstrip("+")


def _name(raw: str) -> str:
    return unicodedata.normalize("NFC", re.sub(r"[\W_]+", "", raw.strip().lower()))


def _postcode(raw: str, country: str) -> str:
    code = re.sub(r"\s", "", raw.lower())
    return code[:5] if country == "us" else code


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Sink:
    """Builds payloads; `BENCH_KEEP` names a file that gets them, one a line, to compare them."""

    def __init__(self) -> None:
        self.members = 0
        self._keep = os.environ.get("BENCH_KEEP")

    def send(self, rows: list[Row]) -> None:
        """One request's worth."""
        payload = json.dumps({"schema": SCHEMA, "data": rows}).encode()
        self.members += len(rows)
        if self._keep:
            with Path(self._keep).open("ab") as kept:
                kept.write(payload + b"\n")


def report(started: float, members: int) -> None:
    """Tell the bench when this process began to work, that it is done now, and with how many."""
    told = {"started": started, "ended": time.monotonic(), "members": members}
    Path(os.environ["BENCH_REPORT"]).write_text(json.dumps(told))
