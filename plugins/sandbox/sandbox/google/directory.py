"""Google's own users: whom a hashed e-mail, phone or address, or a mobile id belongs to (google.md 8)."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

EMAIL, PHONE, ADDRESS, MOBILE, OTHER = "email:", "phone:", "address:", "mobile:", "other:"
GMAIL = ("gmail.com", "googlemail.com")
_EEA = "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO"
CONSENT_NEEDED = frozenset((*_EEA.split(), "GB", "CH"))
"""EEA, United Kingdom and Switzerland."""


class Entry(Protocol):
    """An identifier with its canonical value."""

    @property
    def true(self) -> str:
        """Canonical value: e-mail lower-case, phone in E.164, ad id lower-case."""


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


class Person(Protocol):
    """What the directory needs of a generated person."""

    @property
    def human_id(self) -> str:
        """The human being; several profiles may have the same."""

    @property
    def emails(self) -> Sequence[Entry]:
        """Their e-mails."""

    @property
    def phones(self) -> Sequence[Entry]:
        """Their phones."""

    @property
    def mobile_ids(self) -> Sequence[Entry]:
        """Their mobile ad ids."""

    @property
    def true(self) -> Home:
        """Name and home."""


class Directory:
    """Every person by each link; one that two people share (a household's phone) is the first one's.

    A link is an identifier with its kind in front: `email:` and the digest in lower-case hex, and so on.
    """

    def __init__(self, people: Iterable[Person] = ()) -> None:
        self.ids: list[str] = []
        self.countries: list[str] = []
        self._numbers: dict[str, int] = {}
        self._owners: dict[str, int] = {}
        self._new: list[tuple[int, Person]] = []
        self.learn(people)

    def learn(self, people: Iterable[Person]) -> None:
        """Add people, or more identifiers of known ones; what was known before stays."""
        for person in people:
            number = self._numbers.setdefault(person.human_id, len(self.ids))
            if number == len(self.ids):
                self.ids.append(person.human_id)
                self.countries.append(person.true.country)
            self._new.append((number, person))

    @property
    def owners(self) -> dict[str, int]:
        """By link the number of the person; hashed only once somebody asks."""
        for number, person in self._new:
            for link in _links(person):
                self._owners.setdefault(link, number)
        self._new.clear()
        return self._owners

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
        yield EMAIL + _sha256(normal_email(email.true))
    for phone in person.phones:
        yield PHONE + _sha256(phone.true)
    for mobile in person.mobile_ids:
        yield MOBILE + mobile.true.lower()
    home = person.true
    given, family = (_sha256(name.strip().lower()) for name in (home.first_name, home.last_name))
    yield address_link(given, family, home.country, home.postal_code)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
