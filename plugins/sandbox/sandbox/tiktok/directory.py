"""The platform's own users: whom a hashed e-mail, phone or device id belongs to, by TikTok's rules (contract 6)."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

KEYS = (
    "EMAIL_SHA256",
    "PHONE_SHA256",
    "IDFA_SHA256",
    "AAID_SHA256",
    "IDFA_MD5",
    "AAID_MD5",
    "MAID",
)
"""The order of the cells of a held row, and of what decides whom a row means."""

EVENT_EMAIL = "email of events"


class Entry(Protocol):
    """An identifier with its canonical value; the form of a device id begins with `ios` or `android`."""

    @property
    def true(self) -> str:
        """Canonical value: e-mail lower-case, phone in E.164, ad id lower-case."""

    @property
    def form(self) -> str:
        """How the customer data platform got it."""


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


class Directory:
    """Every person by each identifier; one that two people share (a household's phone) is the first one's."""

    def __init__(self, people: Iterable[Person] = ()) -> None:
        self.ids: list[str] = []
        self._numbers: dict[str, int] = {}
        self._owners: dict[str, dict[str, int]] = {key: {} for key in (*KEYS, EVENT_EMAIL)}
        self._new: list[tuple[int, Person]] = []
        self.learn(people)

    def learn(self, people: Iterable[Person]) -> None:
        """Add people, or more identifiers of known ones; what was known before stays."""
        for person in people:
            number = self._numbers.setdefault(person.human_id, len(self.ids))
            if number == len(self.ids):
                self.ids.append(person.human_id)
            self._new.append((number, person))

    @property
    def owners(self) -> dict[str, dict[str, int]]:
        """By key and hash the number of the person; hashed only once somebody asks."""
        for number, person in self._new:
            for key, value in _hashes(person):
                self._owners[key].setdefault(value, number)
        self._new.clear()
        return self._owners

    def match(self, columns: Mapping[str, Sequence[str]], count: int) -> list[int | None]:
        """For each of `count` rows the number of the person it means: by the first key that knows one."""
        matched: list[int | None] = [None] * count
        owners = self.owners
        for key in reversed(KEYS):
            if key in columns:
                found = map(owners[key].get, columns[key])
                matched = [new if new is not None else old for new, old in zip(found, matched, strict=True)]
        return matched

    def everyone(self, columns: Mapping[str, Sequence[str]]) -> set[int]:
        """Every person whom any identifier of the columns belongs to."""
        owners = self.owners
        found = {owner for key in columns for owner in map(owners[key].get, columns[key])}
        return {owner for owner in found if owner is not None}


def audience_email(email: str) -> str:
    """An address as audiences want it: lower-case, without dots and `+suffix` in the local part of any domain."""
    local, _, domain = email.lower().rpartition("@")
    return f"{local.partition('+')[0].replace('.', '')}@{domain}"


def _hashes(person: Person) -> Iterator[tuple[str, str]]:
    for email in person.emails:
        yield "EMAIL_SHA256", _sha256(audience_email(email.true))
        yield EVENT_EMAIL, _sha256(email.true)
    for phone in person.phones:
        yield "PHONE_SHA256", _sha256(phone.true)
    for mobile in person.mobile_ids:
        kind = "IDFA" if mobile.form.startswith("ios") else "AAID"
        md5 = hashlib.md5(mobile.true.encode(), usedforsecurity=False).hexdigest()
        yield f"{kind}_SHA256", _sha256(mobile.true)
        yield f"{kind}_MD5", md5
        for value in (mobile.true, _sha256(mobile.true), md5):
            yield "MAID", value


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
