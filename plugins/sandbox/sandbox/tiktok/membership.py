"""The members of an audience: its rows, the people they match, and removal by any identifier."""

from collections.abc import Iterable, Iterator, Sequence

from sandbox.tiktok.directory import KEYS

Row = tuple[str, ...]
"""Cells in the order of KEYS; empty where the person lacks that id."""


class Membership:
    """The set of rows of one audience; adding what is there and removing what is not changes nothing."""

    def __init__(self) -> None:
        self.rows: dict[Row, int | None] = {}
        self._linked: dict[str | int, set[Row]] = {}

    def changed(self, action: str, rows: Sequence[Row], people: Sequence[int | None]) -> "Membership":
        """The set as it is after a change by a customer file; this one stays as it is."""
        other = Membership()
        if action in ("APPEND", "REMOVE"):
            other.add(list(self.rows), list(self.rows.values()))
        if action == "REMOVE":
            other.remove(rows)
        else:
            other.add(rows, people)
        return other

    def add(self, rows: Sequence[Row], people: Sequence[int | None]) -> None:
        """Take rows with the person each one means, or None."""
        linked = self._linked
        for row, person in zip(rows, people, strict=True):
            if row in self.rows:
                continue
            self.rows[row] = person
            for link in _links(row, person):
                if (holders := linked.get(link)) is None:
                    linked[link] = {row}
                else:
                    holders.add(row)

    def remove(self, rows: Iterable[Row]) -> None:
        """Drop every row that shares an identifier with one of the given."""
        for row in rows:
            for link in filter(None, row):
                for held in self._linked.get(link, frozenset[Row]()).copy():
                    self._drop(held)

    def _drop(self, row: Row) -> None:
        for link in _links(row, self.rows.pop(row)):
            holders = self._linked[link]
            holders.discard(row)
            if not holders:
                del self._linked[link]

    def people(self) -> set[int]:
        """The numbers of the people held."""
        return {person for person in self.rows.values() if person is not None}

    def described(self) -> Iterator[dict[str, str]]:
        """Each held row by key, without empty cells."""
        for row in self.rows:
            yield {key: cell for key, cell in zip(KEYS, row, strict=True) if cell}


def _links(row: Row, person: int | None) -> set[str | int]:
    links: set[str | int] = {cell for cell in row if cell}
    if person is not None:
        links.add(person)
    return links
