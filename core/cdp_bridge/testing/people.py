"""Made-up people, each known by a number, whose values must turn up nowhere but at the twin."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from cdp_bridge.identity import load_profile

Person = int | tuple[int, int]
"""A number; or a number and how often the person has changed address since."""


def fields(person: Person) -> dict[str, Any]:
    """The person's raw identifiers under their canonical names: valid, unlike anybody else's, and stable."""
    number, version = person if isinstance(person, tuple) else (person, 0)
    return {
        "email": f"Canary.{number}.{version}@Example.com",
        "phone": f"+1 (212) 555-{(number * 7 + version) % 10_000:04}",
        "first_name": f"Canarina{_in_letters(number)}",
        "last_name": f"Birdwell{_in_letters(number)}",
        "country": "US",
        "city": "Birdsville",
        "postal_code": "10001",
        "date_of_birth": f"19{50 + number % 50}-03-{1 + number % 28:02}",
        "mobile_ad_id": f"{number:08x}-0000-4000-8000-{version:012x}",
        "external_id": f"canary-{number}",
    }


def key(person: Person) -> bytes:
    """The person's member key, sixteen bytes."""
    number = person[0] if isinstance(person, tuple) else person
    return hashlib.blake2b(b"person %d" % number, digest_size=16).digest()


def canaries(person: Person) -> set[str]:
    """What would give the person away in a text, in lower case."""
    values = fields(person)
    private = ("email", "first_name", "last_name", "mobile_ad_id")
    return {str(values[name]).lower() for name in private}


def hidden(person: Person, profile: str) -> set[str]:
    """What a profile hashes of the person, in the forms in which it could travel in clear, in lower case."""
    rules, values = load_profile(profile).fields, fields(person)
    hashed = {
        name: str(value).lower() for name, value in values.items() if name in rules and rules[name].send == "hash"
    }
    # A country code and a postal code are found in any text.
    long = {value for value in hashed.values() if len(value) > 5}
    return long | ({re.sub(r"\D", "", hashed["phone"])} if "phone" in hashed else set())


def _in_letters(number: int) -> str:
    """The number in letters, since names have no digits."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))
