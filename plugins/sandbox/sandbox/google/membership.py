"""The members of a user list: sets of links, joined by any link they share (google.md 16)."""

import math
from collections.abc import Iterable, Iterator, Sequence

Links = tuple[str, ...]


class Member:
    """The links that were added for one person, and when that happened last."""

    __slots__ = ("added", "links")

    def __init__(self, links: set[str], added: float) -> None:
        self.links, self.added = links, added


class Membership:
    """The members of one list by link; adding again renews, removing what is not there changes nothing.

    No member was added before `oldest`.
    """

    def __init__(self) -> None:
        self.by_link: dict[str, Member] = {}
        self.oldest = math.inf

    def add(self, rows: Iterable[Links], at: float) -> None:
        """Take members; one that shares a link with members held becomes one with them."""
        by_link = self.by_link
        self.oldest = min(self.oldest, at)
        for links in rows:
            member = next((by_link[link] for link in links if link in by_link), None)
            if member is None:
                member = Member(set(links), at)
            else:
                member.added = max(member.added, at)
                for other in [by_link[link] for link in links if link in by_link]:
                    if other is not member:
                        member.links |= other.links
                        member.added = max(member.added, other.added)
                        by_link.update(dict.fromkeys(other.links, member))
                member.links.update(links)
            for link in links:
                by_link[link] = member

    def remove(self, rows: Iterable[Links]) -> int:
        """Drop the links; a member stays while another link remains. Returns how many stayed so."""
        touched: dict[int, Member] = {}
        for links in rows:
            for link in links:
                member = self.by_link.pop(link, None)
                if member is not None:
                    member.links.discard(link)
                    touched[id(member)] = member
        return sum(bool(member.links) for member in touched.values())

    def drop_before(self, time: float, *, inclusive: bool = False) -> None:
        """Drop every member that was last added before a time (or at it)."""
        if self.oldest > time:
            return
        for member in self.members():
            if member.added < time or (inclusive and member.added == time):
                for link in member.links:
                    del self.by_link[link]
        self.oldest = time

    def members(self) -> list[Member]:
        """Each member once."""
        return list({id(member): member for member in self.by_link.values()}.values())

    def described(self) -> Iterator[dict[str, Sequence[str]]]:
        """Each member's identifiers by kind."""
        for member in self.members():
            row: dict[str, list[str]] = {}
            for link in sorted(member.links):
                kind, _, value = link.partition(":")
                row.setdefault(kind, []).append(value)
            yield dict(row)
