"""How the kit shows what it expected beside what it got, without a value of a person."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from cdp_bridge.redact import redact

T = TypeVar("T")
Member = frozenset[str]
"""The identifier values by which a twin knows a member."""
_HASH = re.compile(r"[0-9a-f]{64}")
_SHOWN = 3


def difference(expected: Collection[T], got: Collection[T], show: Callable[[T], str]) -> str:
    """How many are missing and how many too many, with one expected and one got; empty if there are none."""
    missing, extra = sorted(set(expected) - set(got), key=repr), sorted(set(got) - set(expected), key=repr)
    if not missing and not extra:
        return ""
    pair = (show(missing[0]) if missing else "nothing else", show(extra[0]) if extra else "nothing like it")
    return _counted(len(missing), len(set(expected)), len(extra), pair)


def member_difference(
    expected: Collection[Member], got: Collection[Member], keys: Mapping[Member, bytes] | None = None
) -> str:
    """As `difference`, of members: the one got is that which is most like the one expected.

    `keys` are the member keys of those who are known; values are shown by the first digits of their hashes.
    """
    missing, extra = sorted(set(expected) - set(got), key=sorted), sorted(set(got) - set(expected), key=sorted)
    if not missing and not extra:
        return ""
    wanted: Member = missing[0] if missing else frozenset()
    nearest = max(extra, key=lambda member: len(member & wanted), default=frozenset())

    def show(member: Member) -> str:
        key = f"member key {short(keys[member])} with " if keys and member in keys else ""
        ordered = sorted(member, key=lambda value: (value in wanted & nearest, not _HASH.fullmatch(value), value))
        shown = [*map(value_text, ordered[:_SHOWN]), *["..."] * (len(member) > _SHOWN)]
        return f"{key}{len(member)} values ({', '.join(shown)})"

    pair = (show(wanted) if missing else "nobody else", show(nearest) if extra else "nobody like that")
    return _counted(len(missing), len(set(expected)), len(extra), pair)


def key_text(key: Sequence[object]) -> str:
    """A primary key as Python writes it; of a part that looks like a person's value, its type and a digest."""
    return f"({', '.join(_part(part) for part in key)})"


def value_text(value: str) -> str:
    """The first digits of a hashed value, or of the hash of one that is sent in clear."""
    return f"{value[:8]}..." if _HASH.fullmatch(value) else f"clear #{_digest(value)}"


def short(key: bytes) -> str:
    """The first digits of a member key."""
    return f"{key.hex()[:8]}..."


def _part(part: object) -> str:
    text = repr(part)
    return text if redact(text) == text else f"<{type(part).__name__} #{_digest(text)}>"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _counted(missing: int, total: int, extra: int, pair: tuple[str, str]) -> str:
    return f"{missing} of {total} missing, {extra} too many: expected {pair[0]}, got {pair[1]}"
