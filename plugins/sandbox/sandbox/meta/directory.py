"""The platform's own users: whom a hashed e-mail, a hashed phone or a mobile ad id belongs to."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Protocol

STRONG = ("EMAIL", "PHONE", "MADID")


class Entry(Protocol):
    """An identifier with its canonical value."""

    @property
    def true(self) -> str:
        """Canonical value: e-mail lower-case, phone in E.164, ad id lower-case."""


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
    """Every person by each strong identifier; one that two people share (a household's phone) is the first one's."""

    def __init__(self, people: Iterable[Person] = ()) -> None:
        self.ids: list[str] = []
        self.owners: dict[str, dict[str, int]] = {key: {} for key in STRONG}
        self._numbers: dict[str, int] = {}
        self.learn(people)

    def learn(self, people: Iterable[Person]) -> None:
        """Add people, or more identifiers of known ones; what was known before stays."""
        for person in people:
            number = self._numbers.setdefault(person.human_id, len(self.ids))
            if number == len(self.ids):
                self.ids.append(person.human_id)
            self._enter(number, person)

    def _enter(self, number: int, person: Person) -> None:
        true = attrgetter("true")
        digits = (phone.lstrip("+") for phone in map(true, person.phones))
        for key, values in (
            ("EMAIL", map(_sha256, map(true, person.emails))),
            ("PHONE", map(_sha256, digits)),
            ("MADID", map(true, person.mobile_ids)),
        ):
            for value in values:
                self.owners[key].setdefault(value, number)

    def match(self, columns: Mapping[str, Sequence[str]], count: int) -> list[int | None]:
        """For each of `count` rows the number of the person it means: by e-mail, else phone, else mobile ad id."""
        matched: list[int | None] = [None] * count
        for key in reversed(STRONG):
            if key in columns:
                found = map(self.owners[key].get, columns[key])
                matched = [new if new is not None else old for new, old in zip(found, matched, strict=True)]
        return matched

    def everyone(self, columns: Mapping[str, Sequence[str]]) -> set[int]:
        """Every person whom any strong identifier of the columns belongs to."""
        found = {owner for key in STRONG if key in columns for owner in map(self.owners[key].get, columns[key])}
        return {owner for owner in found if owner is not None}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
