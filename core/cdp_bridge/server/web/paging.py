"""Divides lists into pages with opaque page tokens that stay valid while rows come and go."""

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
    """One page; `next` is the token of the next one, None at the end."""

    items: list[T]
    next: str | None = None


class PageTokens:
    """Page tokens: positions in lists, encrypted.

    A position may hold values that the caller may not see, and URLs end up in logs.
    """

    def __init__(self, store: Store) -> None:
        self._cipher = Fernet(base64.urlsafe_b64encode(store.key("cursor")))

    def seal(self, position: Any) -> str:
        """The token for a position."""
        return self._cipher.encrypt(msgspec.msgpack.encode(position)).decode()

    def open(self, text: str | None, position: type[T]) -> T | None:
        """The position of a token; problem 400 for a token that is made up, or of another list."""
        if text is None:
            return None
        try:
            return msgspec.msgpack.decode(self._cipher.decrypt(text.encode()), type=position)
        except (InvalidToken, msgspec.MsgspecError, UnicodeError):
            raise problem(
                HTTPStatus.BAD_REQUEST,
                "the cursor is not one of this list",
                place="query cursor",
                remedy="Take `next` of the page before, or leave it out",
            ) from None


def page(page_tokens: PageTokens, rows: Sequence[T], limit: int, position: Callable[[T], Any]) -> Listing[T]:
    """A page of `limit` rows; `rows` holds one more if there is a next page."""
    items = list(rows[:limit])
    has_more = len(rows) > limit
    return Listing(items=items, next=page_tokens.seal(position(items[-1])) if has_more else None)


def page_of_all(
    page_tokens: PageTokens, everything: Iterable[T], limit: int, cursor: str | None, key: Callable[[T], list[str]]
) -> Listing[T]:
    """A page of a list that fits in memory, in the order of `key`."""
    after = page_tokens.open(cursor, list[str])
    ordered = sorted(everything, key=key)
    return page(page_tokens, [item for item in ordered if after is None or key(item) > after], limit, key)
