"""A part of a list in the order of time, page by page, as a statement of both databases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from msgspec import Struct


class Shape(NamedTuple):
    """What the statement for a window depends on."""

    has_since: bool
    has_until: bool
    has_position: bool
    has_limit: bool
    oldest_first: bool


class Window(Struct, frozen=True, kw_only=True):
    """At most `limit` rows (None: all), from `since` on and before `until`, that come after the row at a position.

    A position holds the values of the columns by which the list is ordered. The newest rows come first, unless the
    oldest are wanted first.
    """

    since: datetime | None = None
    until: datetime | None = None
    after: tuple[Any, ...] | None = None
    oldest_first: bool = False
    limit: int | None = 50

    @property
    def shape(self) -> Shape:
        """What `statement` depends on."""
        return Shape(
            has_since=self.since is not None,
            has_until=self.until is not None,
            has_position=self.after is not None,
            has_limit=self.limit is not None,
            oldest_first=self.oldest_first,
        )

    def parameters(self) -> dict[str, Any]:
        """The values for `statement`."""
        given = {"since": self.since, "until": self.until, "limit": self.limit}
        return given | {f"position_{number}": value for number, value in enumerate(self.after or ())}


def statement(
    query: sa.Select[Any], at: sa.Column[Any], columns: Sequence[sa.Column[Any]], shape: Shape
) -> sa.Select[Any]:
    """The rows of a query in windows of a shape, `at` their time, ordered by `columns`.

    `Window.parameters` are its parameters.
    """
    if shape.has_since:
        query = query.where(at >= sa.bindparam("since", type_=at.type))
    if shape.has_until:
        query = query.where(at < sa.bindparam("until", type_=at.type))
    if shape.has_position:
        row = sa.tuple_(*columns)
        position = sa.tuple_(*(sa.bindparam(f"position_{n}", type_=each.type) for n, each in enumerate(columns)))
        query = query.where(row > position if shape.oldest_first else row < position)
    order = [column.asc() if shape.oldest_first else column.desc() for column in columns]
    ordered = query.order_by(*order)
    return ordered.limit(sa.bindparam("limit", type_=sa.Integer)) if shape.has_limit else ordered
