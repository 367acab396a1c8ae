"""Pages of lists: cursors that are opaque, cannot be made up, and stay right while rows come and go."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any, Generic, TypeVar

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from msgspec import Struct

from cdp_bridge.server.web.problems import problem
from cdp_bridge.store import Store

T = TypeVar("T")


class Listing(Struct, Generic[T], frozen=True, kw_only=True):
    """One page; `next` is the cursor of the next one, None at the end."""

    items: list[T]
    next: str | None = None


class Cursors:
    """Positions in lists as text.

    They are sealed: a position may hold what this caller is not shown, and URLs end up in logs.
    """

    def __init__(self, store: Store) -> None:
        self._box = Fernet(base64.urlsafe_b64encode(store.key("cursor")))

    def seal(self, position: Any) -> str:
        """The position as text."""
        return self._box.encrypt(msgspec.msgpack.encode(position)).decode()

    def open(self, text: str | None, kind: type[T]) -> T | None:
        """The position behind a text; problem 400 for one that is not ours, or of another list."""
        if text is None:
            return None
        try:
            return msgspec.msgpack.decode(self._box.decrypt(text.encode()), type=kind)
        except (InvalidToken, msgspec.MsgspecError, UnicodeError):
            raise problem(
                HTTPStatus.BAD_REQUEST,
                "the cursor is not one of this list",
                place="query cursor",
                remedy="Take `next` of the page before, or leave it out",
            ) from None


def page(cursors: Cursors, found: Sequence[T], limit: int, position: Callable[[T], Any]) -> Listing[T]:
    """The first `limit` of what was found when one more was asked for."""
    items = list(found[:limit])
    more = len(found) > limit
    return Listing(items=items, next=cursors.seal(position(items[-1])) if more else None)


def page_of_all(
    cursors: Cursors, everything: Iterable[T], limit: int, cursor: str | None, key: Callable[[T], list[str]]
) -> Listing[T]:
    """A page of a list that is short enough to be held, in the order of `key`."""
    after = cursors.open(cursor, list[str])
    ordered = sorted(everything, key=key)
    return page(cursors, [one for one in ordered if after is None or key(one) > after], limit, key)
