"""Google's own users, found by hashed e-mail, phone, address or mobile id (google.md 8)."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from sandbox import directory
from sandbox.directory import sha256

EMAIL, PHONE, ADDRESS, MOBILE, OTHER = "email:", "phone:", "address:", "mobile:", "other:"
GMAIL = ("gmail.com", "googlemail.com")
_EEA = "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO"
CONSENT_NEEDED = frozenset((*_EEA.split(), "GB", "CH"))
"""EEA, United Kingdom and Switzerland."""


class Home(Protocol):
    """What is true of a person beside their identifiers."""

    @property
    def first_name(self) -> str:
        """Given name."""

    @property
    def last_name(self) -> str:
        """Family name."""

    @property
    def postal_code(self) -> str:
        """Postal code."""

    @property
    def country(self) -> str:
        """ISO alpha-2."""


class Person(directory.Person, Protocol):
    """A generated person with name and home."""

    @property
    def true(self) -> Home:
        """Name and home."""


class Directory(directory.Known[Person]):
    """Every person by each link; one that two people share (a household's phone) is the first one's.

    A link is an identifier with its kind in front: `email:` and the digest in lower-case hex, and so on.
    """

    def __init__(self, people: Iterable[Person] = ()) -> None:
        self._countries: list[str] = []
        self._owners: dict[str, int] = {}
        super().__init__(people)

    @property
    def owners(self) -> dict[str, int]:
        """By link the number of the person."""
        self._hash()
        return self._owners

    @property
    def countries(self) -> list[str]:
        """By number where the person lives."""
        self._hash()
        return self._countries

    def _hash(self) -> None:
        for number, person in self.taken():
            if number == len(self._countries):
                self._countries.append(person.true.country)
            for link in _links(person):
                self._owners.setdefault(link, number)

    def meant(self, links: Iterable[str]) -> set[int]:
        """The people that links of one member mean: the owners of its e-mails, else of its phones, else of the rest."""
        owners = self.owners
        found: dict[str, set[int]] = {}
        for link in links:
            if (owner := owners.get(link)) is not None:
                found.setdefault(link.partition(":")[0], set()).add(owner)
        return next((found[kind] for kind in ("email", "phone", "address", "mobile") if kind in found), set())


def normal_email(email: str) -> str:
    """An address as Google wants it: lower-case, no spaces; of Gmail without dots and `+suffix` in the local part."""
    local, _, domain = "".join(email.lower().split()).rpartition("@")
    return f"{local.partition('+')[0].replace('.', '')}@{domain}" if domain in GMAIL else f"{local}@{domain}"


def address_link(given: str, family: str, region: str, postal: str) -> str:
    """The link of an address: names as digests, region and postal code plain."""
    return f"{ADDRESS}{given} {family} {region.strip().upper()} {''.join(postal.upper().split())}"


def _links(person: Person) -> Iterator[str]:
    for email in person.emails:
        yield EMAIL + sha256(normal_email(email.true))
    for phone in person.phones:
        yield PHONE + sha256(phone.true)
    for mobile in person.mobile_ids:
        yield MOBILE + mobile.true.lower()
    home = person.true
    given, family = (sha256(name.strip().lower()) for name in (home.first_name, home.last_name))
    yield address_link(given, family, home.country, home.postal_code)
