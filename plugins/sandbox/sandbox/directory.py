"""The platform users that the ad platforms' twins share: who is who, generated in portions."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, Protocol, TypeVar


class Entry(Protocol):
    """An identifier with its canonical value; the form of a device id begins with `ios` or `android`."""

    @property
    def true(self) -> str:
        """Canonical value: e-mail lower-case, phone in E.164, ad id lower-case."""

    @property
    def form(self) -> str:
        """How the customer data platform got it."""


class Person(Protocol):
    """What a directory needs of a generated person."""

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


P = TypeVar("P", bound=Person)


class Known(Generic[P]):
    """People by number: `ids[number]` is the `human_id`."""

    def __init__(self, people: Iterable[P] = ()) -> None:
        self.ids: list[str] = []
        self._numbers: dict[str, int] = {}
        self._new: list[tuple[int, P]] = []
        self.learn(people)

    def learn(self, people: Iterable[P]) -> None:
        """Add people, or more identifiers of known ones; what was known before stays."""
        for person in people:
            number = self._numbers.setdefault(person.human_id, len(self.ids))
            if number == len(self.ids):
                self.ids.append(person.human_id)
            self._new.append((number, person))

    def taken(self) -> list[tuple[int, P]]:
        """The people told since the last call, to be hashed only once somebody asks for one."""
        new, self._new = self._new, []
        return new


class ByColumn(Known[Person], ABC):
    """People by the hashes of each key, such as a column; one that two people share (a household's phone) is the first
    one's.

    `keys` are in the order in which they decide whom a row means, `others` are looked up in `owners` only.
    """

    keys: tuple[str, ...]
    others: tuple[str, ...] = ()

    def __init__(self, people: Iterable[Person] = ()) -> None:
        self._owners: dict[str, dict[str, int]] = {key: {} for key in (*self.keys, *self.others)}
        super().__init__(people)

    @abstractmethod
    def hashes(self, person: Person) -> Iterator[tuple[str, str]]:
        """Every key with each of its values."""

    @property
    def owners(self) -> dict[str, dict[str, int]]:
        """By key and hash the number of the person."""
        for number, person in self.taken():
            for key, value in self.hashes(person):
                self._owners[key].setdefault(value, number)
        return self._owners

    def match(self, columns: Mapping[str, Sequence[str]], count: int) -> list[int | None]:
        """For each of `count` rows the number of the person it means: by the first key that knows one."""
        matched: list[int | None] = [None] * count
        owners = self.owners
        for key in reversed(self.keys):
            if key in columns:
                found = map(owners[key].get, columns[key])
                matched = [new if new is not None else old for new, old in zip(found, matched, strict=True)]
        return matched

    def everyone(self, columns: Mapping[str, Sequence[str]]) -> set[int]:
        """Every person whom any key of the columns belongs to."""
        owners = self.owners
        found = {owner for key in self.keys if key in columns for owner in map(owners[key].get, columns[key])}
        return {owner for owner in found if owner is not None}


def sha256(text: str) -> str:
    """As lower-case hex."""
    return hashlib.sha256(text.encode()).hexdigest()
