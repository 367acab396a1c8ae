"""Makes batches of rows of members, one ahead of the one that is being sent."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from cdp_bridge.model import AudienceRef, Batch, Operation
from cdp_bridge.staging.packing import Row, batch_columns, conversions

T = TypeVar("T")


def make_batch(
    audience: AudienceRef, operation: Operation, rows: Sequence[Row], columns: Sequence[str], total: int
) -> Batch:
    """One batch of these rows with the profile's `columns`; `total` members are to be sent by the whole operation."""
    packed = [identifiers for *_, identifiers in rows]
    return Batch(
        audience=audience,
        operation=operation,
        keys=[key for key, *_ in rows],
        identifiers=batch_columns(packed, columns),
        events=conversions(packed) if operation == "track" else (),
        total=total,
    )


def ahead(items: Iterator[T]) -> Generator[T]:
    """The same items, the next one being made in another thread while the caller works on this one."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, items, None)
        while (item := following.result()) is not None:
            following = pool.submit(next, items, None)
            yield item


def with_last(items: Iterator[T]) -> Iterator[tuple[T, bool]]:
    """Each item, and whether it is the last one."""
    item = next(items, None)
    while item is not None:
        following = next(items, None)
        yield item, following is None
        item = following
