"""The members that Google gets of a batch, each by e-mails, phones and addresses (google.md 4.1, 8)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec
from cdp_bridge.sdk import Batch

SCHEMA = ("email", "phone", "first_name", "last_name", "country", "postal_code")
"""The columns of the profile `google` that go to Google; the profile hashes the first four."""
ADDRESS = ("first_name", "last_name", "country", "postal_code")
"""All four or none."""
MAX_MEMBERS = 10_000
MAX_IDENTIFIERS = 10

NO_IDENTIFIER = "google:no_identifier"

Identifier = tuple[str, ...]
"""A column and its value; an address has the values of all four columns of ADDRESS."""

_DIGEST, _REGION, _POSTAL = (
    re.compile(pattern).fullmatch for pattern in ("[0-9a-fA-F]{64}", "[A-Za-z]{2}", "[0-9A-Za-z][0-9A-Za-z -]{1,10}")
)
CHECKS: Mapping[str, tuple[Callable[[str], object], str]] = {
    **dict.fromkeys(["email", "phone", "first_name", "last_name"], (_DIGEST, "google:INVALID_SHA256_FORMAT")),
    "country": (_REGION, "google:INVALID_REGION_CODE"),
    "postal_code": (_POSTAL, "google:INVALID_POSTAL_CODE"),
}
"""What a value must be, and Google's reason for refusing another: one bad value costs the whole request."""


class Members(msgspec.Struct, frozen=True):
    """What of a batch can be sent: member i belongs to key `owners[i]` of the batch; others are refused by key."""

    identifiers: list[list[Identifier]]
    owners: list[int]
    refused: dict[bytes, str]

    def without(self, named: Mapping[int, str], keys: Sequence[bytes]) -> Members:
        """The others, where some positions are refused; who has several of them is refused as a whole."""
        reasons = {self.owners[i]: reason for i, reason in named.items() if i < len(self.owners)}
        rest = [i for i, owner in enumerate(self.owners) if owner not in reasons]
        refused = self.refused | {keys[owner]: reason for owner, reason in reasons.items()}
        return Members([self.identifiers[i] for i in rest], [self.owners[i] for i in rest], refused)


def members_of(batch: Batch) -> Members:
    """The batch as members; one with more identifiers than Google takes becomes several."""
    people, refused = identifiers_of(batch)
    identifiers, owners = [], []
    for i, (key, mine) in enumerate(zip(batch.keys, people, strict=True)):
        if key in refused:
            continue
        if not mine:
            refused[key] = NO_IDENTIFIER
        for start in range(0, len(mine), MAX_IDENTIFIERS):
            identifiers.append(mine[start : start + MAX_IDENTIFIERS])
            owners.append(i)
    return Members(identifiers, owners, refused)


def identifiers_of(batch: Batch) -> tuple[list[list[Identifier]], dict[bytes, str]]:
    """The identifiers behind each key of a batch, and who is refused for one that Google would not take."""
    columns = {column: batch.identifiers[column] for column in SCHEMA if any(batch.identifiers.get(column, ()))}
    refused = {batch.keys[i]: CHECKS[column][1] for column, values in columns.items() for i in _faulty(column, values)}
    people: list[list[Identifier]] = [[] for _ in batch.keys]
    for column in [column for column in columns if column not in ADDRESS]:
        for person, values in zip(people, columns[column], strict=True):
            person += [(column, value) for value in values]
    if all(column in columns for column in ADDRESS):
        for person, *parts in zip(people, *(columns[column] for column in ADDRESS), strict=True):
            person += _addresses(parts)
    return people, refused


def _faulty(column: str, values: Sequence[Sequence[str]]) -> list[int]:
    is_good = CHECKS[column][0]
    return [i for i, mine in enumerate(values) if not all(map(is_good, mine))]


def _addresses(parts: Sequence[Sequence[str]]) -> list[Identifier]:
    """Every value at least once, a shorter column starts over; none where a part is missing."""
    if not all(parts):
        return []
    return [("address", *[part[row % len(part)] for part in parts]) for row in range(max(map(len, parts)))]
