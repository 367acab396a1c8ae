"""Members as rows: the packed identifiers that stage and ledger keep, and the columns that a batch carries."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
Row = tuple[bytes, bytes, str | None, bytes]
"""(member_key, fingerprint, user_id, packed identifiers)"""
Identifiers = dict[str, list[bytes | str]]
"""Per profile column the values: 32-byte digests of hashed columns, text of clear ones; empty columns are left out."""

_HEX = 64

PACK_MACROS = (
    r"CREATE MACRO pack_digest(digest) AS '\xC4\x20'::BLOB || digest",
    "CREATE MACRO pack_text(text) AS unhex(printf('da%04x', octet_length(encode(text)))) || encode(text)",
    "CREATE MACRO pack_count(many) AS unhex(printf('dc%04x', many))",
)
"""What `pack_sql` calls; run these once on a connection."""

# msgspec tells bytes from text in what it reads, but takes no type that says so.
_decode = msgspec.msgpack.Decoder(dict[str, list]).decode  # type: ignore[type-arg]


def unpack(packed: bytes) -> Identifiers:
    """The identifiers of one member, from their packed form."""
    return _decode(packed)


def fingerprint(packed: bytes) -> bytes:
    """16 bytes that change whenever anything that would be sent changes; the stage computes the same in SQL."""
    return hashlib.sha256(packed).digest()[:16]


def pack_sql(columns: Sequence[str], hashed: Iterable[str]) -> str:
    """SQL that packs list columns (BLOB[] of digests, VARCHAR[] of clear text) into the MessagePack map that `unpack`
    reads.

    In the engine this costs a microsecond a row; in Python it would be the slowest step of a run.
    """
    hashed = set(hashed)
    filled = " + ".join(f"(len({column}) > 0)::INT" for column in columns)
    return " || ".join(
        [f"unhex(printf('8%x', {filled}))", *(_pack_column(column, column in hashed) for column in columns)]
    )


def batch_columns(members: Sequence[Identifiers], columns: Sequence[str]) -> dict[str, Sequence[Sequence[str]]]:
    """Unpacked members as `Batch.identifiers`; a column in which no member has a value is left out."""
    found = {column: _texts([member.get(column, ()) for member in members]) for column in columns}
    return {column: values for column, values in found.items() if values}


def _texts(values: Sequence[Sequence[bytes | str]]) -> Sequence[Sequence[str]]:
    """One column's values as text, digests as hex; nothing if there is none. Whole columns at a time: this is hot."""
    flat: list[Any] = list(chain.from_iterable(values))
    if flat and isinstance(flat[0], bytes):
        digits = b"".join(flat).hex()
        flat = [digits[at : at + _HEX] for at in range(0, len(digits), _HEX)]
    counts = list(map(len, values))
    if max(counts, default=0) < 2 and len(flat) == len(values):
        return list(zip(flat, strict=True))
    remaining = iter(flat)
    return [tuple(islice(remaining, count)) for count in counts] if flat else []


def ahead(items: Iterator[T]) -> Generator[T]:
    """The same items, the next one being made in another thread while the caller works on this one."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, items, None)
        while (item := following.result()) is not None:
            following = pool.submit(next, items, None)
            yield item


def with_last(items: Iterator[T]) -> Iterator[tuple[T, bool]]:
    """Each item, and whether it is the last one."""
    item = next(items, None)
    while item is not None:
        following = next(items, None)
        yield item, following is None
        item = following


def _pack_column(column: str, hashed: bool) -> str:
    pack = "pack_digest" if hashed else "pack_text"
    name = _blob(bytes([0xA0 | len(column)]) + column.encode())
    one = _blob(b"\x91")
    several = f"list_reduce(list_transform({column}, lambda value: {pack}(value)), lambda a, b: a || b)"
    return (
        f"CASE len({column}) WHEN 0 THEN ''::BLOB WHEN 1 THEN {name} || {one} || {pack}({column}[1]) "
        f"ELSE {name} || pack_count(len({column})) || {several} END"
    )


def _blob(value: bytes) -> str:
    return "'" + "".join(f"\\x{byte:02X}" for byte in value) + "'::BLOB"
