"""The kit's people as a profile makes them: hashed once and remembered, since hashing costs most."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from cdp_bridge.identity import FIELDS, load_profile
from cdp_bridge.protocol.hashing import apply_profile
from cdp_bridge.testing.people import Person, fields

# Whom most tests ask for; hashing them together costs as much as hashing one.
_COMMON: tuple[Person, ...] = (*range(60), *((number, 1) for number in range(12)))


def columns_of(profile: str) -> tuple[str, ...]:
    """All columns of a profile."""
    rules = load_profile(profile)
    return tuple(column for field in FIELDS if field in rules.fields for column in rules.outputs(field))


def packed(profile: str, people: Sequence[Person]) -> list[bytes]:
    """The packed identifiers of each person, in all columns of the profile."""
    known = _known(profile)
    missing = list(dict.fromkeys(person for person in (*people, *_COMMON) if person not in known))
    if missing:
        hashed = apply_profile(profile, [fields(person) for person in missing])
        known.update((person, hashed.members[position]) for position, person in enumerate(missing))
    return [known[person] for person in people]


@cache
def _known(profile: str) -> dict[Person, bytes]:
    """The packed identifiers so far."""
    return {}
