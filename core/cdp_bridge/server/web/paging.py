"""Divides lists into pages with opaque page tokens that stay valid while rows come and go."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Struct

from cdp_bridge.server.web.problems import problem
from cdp_bridge.store import Store
from cdp_bridge.store.tables import microseconds
from cdp_bridge.store.window import Window

T = TypeVar("T")
P = TypeVar("P")
Limit = Annotated[int, QueryParameter(ge=1, le=200, description="The maximum number of entries of a page")]
PageToken = Annotated[str | None, QueryParameter(max_length=1_000, description="`next` of the page before")]
Moment = Annotated[datetime | None, QueryParameter(description="A time as in RFC 3339, with its offset from UTC")]
Place = list[str | int]
"""A place in a list that fits in memory: the value by which it is sorted, then what no two items share."""


class Listing(Struct, Generic[T], frozen=True, kw_only=True):
    """One page; `next` is the token of the next one, None at the end."""

    items: list[T]
    next: str | None = None


class PageRequest(Struct, frozen=True):
    """The page that a request wants: at most `limit` items after those of the page before, sorted by a field.

    `sort` is the name of the field, with `-` before it for the reverse order.
    """

    limit: int
    cursor: str | None
    sort: str

    @property
    def is_reverse(self) -> bool:
        """Whether the largest comes first."""
        return self.sort.startswith("-")


class LogPage(PageRequest, frozen=True, kw_only=True):
    """The page that a request wants of a list in the order of time, from `since` on and before `until`."""

    limit: Limit = 50
    cursor: PageToken = None
    sort: Annotated[
        Literal["-at", "at"], QueryParameter(description="By time: the newest first, or without `-` the oldest")
    ] = "-at"
    since: Moment = None
    until: Moment = None


LogPageGiven = NamedDependency[LogPage]


class PageTokens:
    """Page tokens: positions in lists of an order, encrypted.

    A position may hold values that the caller may not see, and URLs end up in logs.
    """

    def __init__(self, store: Store) -> None:
        self._cipher = Fernet(base64.urlsafe_b64encode(store.key("cursor")))

    def window(self, wanted: LogPage, position: type[tuple[Any, ...]]) -> Window:
        """The rows of a page, and one more; `position` is the type of a row's place. Problem 400 for wrong times."""
        for name, moment in (("since", wanted.since), ("until", wanted.until)):
            if moment is not None and moment.tzinfo is None:
                remedy = "Add Z, or the hours and minutes from UTC as in +01:00 (%2B01:00 in an address)"
                raise problem(HTTPStatus.BAD_REQUEST, "has no offset from UTC", place=f"query {name}", remedy=remedy)
        return Window(
            since=wanted.since,
            until=wanted.until,
            after=self._position(wanted, position),
            oldest_first=not wanted.is_reverse,
            limit=wanted.limit + 1,
        )

    def page(self, wanted: PageRequest, rows: Sequence[T], position: Callable[[T], Any]) -> Listing[T]:
        """A page; `rows` holds one more if there is a next page."""
        items = list(rows[: wanted.limit])
        has_more = len(rows) > wanted.limit
        return Listing(items=items, next=self._seal(wanted, position(items[-1])) if has_more else None)

    def page_of_all(
        self, wanted: PageRequest, everything: Iterable[T], value: Callable[[T], Any], key: Callable[[T], Sequence[str]]
    ) -> Listing[T]:
        """A page of a list that fits in memory, sorted by `value`, then by `key`, which no two items share."""

        def place(item: T) -> Place:
            return [_comparable(value(item)), *key(item)]

        after = self._position(wanted, Place)
        ordered = sorted(everything, key=place, reverse=wanted.is_reverse)
        if after is not None:
            ordered = [item for item in ordered if (place(item) < after if wanted.is_reverse else place(item) > after)]
        return self.page(wanted, ordered, place)

    def _seal(self, wanted: PageRequest, position: Any) -> str:
        return self._cipher.encrypt(msgspec.msgpack.encode((wanted.sort, position))).decode()

    def _position(self, wanted: PageRequest, kind: type[P]) -> P | None:
        """The position of a token; problem 400 for a token that is made up, or of another list or order."""
        if wanted.cursor is None:
            return None
        try:
            content = self._cipher.decrypt(wanted.cursor.encode())
            sort, sealed = msgspec.msgpack.decode(content, type=tuple[str, msgspec.Raw])
            if sort == wanted.sort:
                return msgspec.msgpack.decode(sealed, type=kind)
        except (InvalidToken, msgspec.MsgspecError, UnicodeError, TypeError):
            pass
        raise problem(
            HTTPStatus.BAD_REQUEST,
            "the cursor is not one of this list in this order",
            place="query cursor",
            remedy="Take `next` of the page before, or leave it out",
        )


def _comparable(value: Any) -> str | int:
    """A value of a field that compares with any other of the same field; nothing is less than anything."""
    if isinstance(value, datetime):
        return microseconds(value)
    if isinstance(value, str):
        return value.casefold()
    return -1 if value is None else int(value)
