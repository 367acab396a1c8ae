"""Members as rows: the packed identifiers that stage and ledger keep, and the columns of a batch.

Packed is a MessagePack map from column to one binary (the 32-byte digests of a hashed column, one after another) or to
an array of texts (a clear column); empty columns are left out. A conversion is the same as a member, with one column
more: `EVENT`, one text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec

from cdp_bridge.model import Conversion

Row = tuple[bytes, bytes, str | None, bytes]
"""(member_key, fingerprint, user_id, packed identifiers)"""
Identifiers = dict[str, list[bytes | str]]
"""Per profile column the values: 32-byte digests of hashed columns, text of clear ones; empty columns are left out."""

EVENT = "event"
"""The column of a conversion's packed form that holds it as JSON; no profile has one of that name."""

_DIGEST, _HEX = 32, 64
# A digest is packed in 34 bytes beside its column's name, and sent as 64 hex digits with quotes and a comma.
_SENT_FOR_PACKED = 1.9

PACK_MACROS = (
    "CREATE MACRO pack_bytes(bytes) AS CASE WHEN octet_length(bytes) < 256 "
    "THEN unhex(printf('c4%02x', octet_length(bytes))) ELSE unhex(printf('c5%04x', octet_length(bytes))) END || bytes",
    "CREATE MACRO pack_text(text) AS unhex(printf('da%04x', octet_length(encode(text)))) || encode(text)",
    "CREATE MACRO pack_count(count) AS unhex(printf('dc%04x', count))",
    "CREATE MACRO join_blobs(blobs) AS list_reduce(blobs, lambda a, b: a || b)",
)
"""What `pack_sql` calls; run these once on a connection."""

_decode: Any = msgspec.msgpack.Decoder(dict[str, Any]).decode
_decode_event = msgspec.json.Decoder(Conversion).decode


def unpack(packed: bytes) -> Identifiers:
    """The identifiers of one member, from their packed form."""
    return {column: _values(values) for column, values in _decode(packed).items()}


def fingerprint(packed: bytes) -> bytes:
    """16 bytes that change whenever anything that would be sent changes; the stage computes the same in SQL."""
    return hashlib.sha256(packed).digest()[:16]


def sent_bytes(packed: float) -> float:
    """About how many bytes of a request so many packed bytes become."""
    return _SENT_FOR_PACKED * packed


def pack_sql(columns: Sequence[str], hashed: Iterable[str]) -> str:
    """SQL that packs list columns (BLOB[] of digests, VARCHAR[] of clear text) of one row.

    In the engine this costs a microsecond a row; in Python it would be the slowest step of a run.
    """
    hashed = set(hashed)
    filled = " + ".join(f"(len({column}) > 0)::INT" for column in columns)
    parts = [_pack_digests(column) if column in hashed else _pack_texts(column) for column in columns]
    return " || ".join([f"unhex(printf('de%04x', {filled}))", *parts])


def batch_columns(packed: Sequence[bytes], columns: Sequence[str]) -> dict[str, Sequence[Sequence[str]]]:
    """Packed members as `Batch.identifiers`; a column in which no member has a value is left out.

    Works on whole columns: this is the hottest Python of a run.
    """
    members = [_decode(member) for member in packed]
    packed_columns = {column: [member.get(column) for member in members] for column in columns}
    return {column: _texts(values) for column, values in packed_columns.items() if any(values)}


def conversions(packed: Iterable[bytes]) -> list[Conversion]:
    """Packed conversions as `Batch.events`."""
    return [_decode_event(_decode(conversion)[EVENT][0]) for conversion in packed]


def _values(packed: bytes | list[str]) -> list[bytes | str]:
    if isinstance(packed, bytes):
        return [packed[at : at + _DIGEST] for at in range(0, len(packed), _DIGEST)]
    return list(packed)


def _texts(values: Sequence[Any]) -> Sequence[Sequence[str]]:
    """One packed column (a binary, a list of texts or None for each member) as text, digests as hex."""
    if not any(isinstance(value, bytes) for value in values):
        return [tuple(value or ()) for value in values]
    digests: list[bytes] = [value or b"" for value in values]
    digits = b"".join(digests).hex()
    flat = [digits[at : at + _HEX] for at in range(0, len(digits), _HEX)]
    if set(map(len, digests)) == {_DIGEST}:
        return list(zip(flat, strict=True))
    remaining = iter(flat)
    return [tuple(islice(remaining, len(digest) // _DIGEST)) for digest in digests]


def _pack_digests(column: str) -> str:
    name = _packed_name(column)
    header = _blob(b"\xc4\x20")
    return (
        f"CASE len({column}) WHEN 0 THEN ''::BLOB WHEN 1 THEN {name} || {header} || {column}[1] "
        f"ELSE {name} || pack_bytes(join_blobs({column})) END"
    )


def _pack_texts(column: str) -> str:
    texts = f"join_blobs(list_transform({column}, lambda value: pack_text(value)))"
    packed = f"{_packed_name(column)} || pack_count(len({column})) || {texts}"
    return f"CASE len({column}) WHEN 0 THEN ''::BLOB ELSE {packed} END"


def _packed_name(column: str) -> str:
    return _blob(bytes([0xA0 | len(column)]) + column.encode())


def _blob(value: bytes) -> str:
    return "'" + "".join(f"\\x{byte:02X}" for byte in value) + "'::BLOB"
