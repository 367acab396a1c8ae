"""Large batches of made-up members, whose identifiers cost no identity query."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from cdp_bridge.identity import load_profile
from cdp_bridge.model import Limits
from cdp_bridge.staging.packing import sent_bytes
from cdp_bridge.testing.people import fields

_DIGEST = 32
MAX_ROWS, MAX_BYTES = 10_000, 16_000_000
"""How much of larger limits is tried: more would test the twin, not the connector."""


def identifiers(profile: str, columns: Sequence[str], numbers: range) -> dict[str, list[list[str]]]:
    """`Batch.identifiers` of one member for each number, with one value in each of the columns."""
    rules = load_profile(profile)
    hashed = {column for name, rule in rules.fields.items() if rule.send == "hash" for column in rules.outputs(name)}
    makers = {column: _digests if column in hashed else _clear for column in columns}
    return {column: [[value] for value in make(column, numbers)] for column, make in makers.items()}


def rows_in_full_batch(profile: str, columns: Sequence[str], limits: Limits) -> int:
    """How many such members a run puts into one batch, by the rows and bytes that a connector takes."""
    member = identifiers(profile, columns, range(MAX_ROWS, MAX_ROWS + 1))
    packed = {column: _packed(values[0][0]) for column, values in member.items()}
    size = sent_bytes(len(msgspec.msgpack.encode(packed)))
    return max(1, min(limits.rows, MAX_ROWS, int(min(limits.bytes, MAX_BYTES) / size)))


def _digests(column: str, numbers: range) -> list[str]:
    """All at once: hashing value by value would be most of the work of a test."""
    digits = hashlib.shake_128(f"{column} {numbers.start}".encode()).hexdigest(_DIGEST * len(numbers))
    return [digits[at : at + 2 * _DIGEST] for at in range(0, len(digits), 2 * _DIGEST)]


def _clear(column: str, numbers: range) -> list[str]:
    return [str(fields(number).get(column, number)) for number in numbers]


def _packed(value: str) -> bytes | list[str]:
    return bytes.fromhex(value) if len(value) == 2 * _DIGEST else [value]
