"""The members of an audience: its rows, the people they match, and removal by any strong identifier."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sandbox.meta.payload import KEYS, Row

LINKING = ("EMAIL", "PHONE", "MADID", "EXTERN_ID", "UID", "PAGEUID")
_PLACES = [(KEYS.index(key), "" if key in {"EMAIL", "PHONE", "MADID"} else f"{key}:") for key in LINKING]

Link = str | int
"""A strong identifier (those with free text carry their key in front) or the number of a matched person."""


class Membership:
    """The set of rows of one audience; adding what is there and removing what is not changes nothing."""

    def __init__(self) -> None:
        self.rows: dict[Row, int | None] = {}
        self.attributes: dict[Row, dict[str, Any]] = {}
        self._linked: dict[Link, Row] = {}
        self._also_linked: dict[Link, list[Row]] = {}

    def add(self, rows: Sequence[Row], people: Sequence[int | None], attributes: dict[Row, dict[str, Any]]) -> None:
        """Take rows with the person each one matches, or None."""
        linked = self._linked
        for row, person in zip(rows, people, strict=True):
            if row in self.rows:
                continue
            self.rows[row] = person
            for link in _links_of(row, person):
                if linked.setdefault(link, row) is not row:
                    self._also_linked.setdefault(link, []).append(row)
        self.attributes |= attributes

    def remove(self, rows: Iterable[Row], links: Iterable[Link]) -> None:
        """Drop every row that has one of the links, and the given rows."""
        for link in links:
            while (row := self._linked.get(link)) is not None:
                self._drop(row)
        for row in rows:
            if row in self.rows:
                self._drop(row)

    def _drop(self, row: Row) -> None:
        person = self.rows.pop(row)
        self.attributes.pop(row, None)
        for link in _links_of(row, person):
            self._unlink(link, row)

    def _unlink(self, link: Link, row: Row) -> None:
        others = self._also_linked.get(link)
        if others is None:
            del self._linked[link]
            return
        if self._linked[link] is row:
            self._linked[link] = others.pop()
        else:
            others.remove(row)
        if not others:
            del self._also_linked[link]

    def people(self) -> set[int]:
        """The numbers of the people held."""
        return {person for person in self.rows.values() if person is not None}

    def described(self) -> Iterator[dict[str, Any]]:
        """Each held row by key, without empty cells."""
        for row in self.rows:
            cells = {key: cell for key, cell in zip(KEYS, row, strict=True) if cell}
            yield cells | self.attributes.get(row, {})


def links_of_rows(rows: Iterable[Row]) -> set[Link]:
    """Every strong identifier of the rows."""
    return {link for row in rows for link in _links_of(row, None)}


def _links_of(row: Row, person: int | None) -> list[Link]:
    links: list[Link] = [prefix + row[place] for place, prefix in _PLACES if row[place]]
    if person is not None:
        links.append(person)
    return links
