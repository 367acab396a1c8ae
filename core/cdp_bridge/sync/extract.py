"""What a run reads: the source's pages, staged, and where the next run may go on from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..model import Checkpoint, Connector, Page, ReadRequest, Source
from .blame import blame
from .stage import Stage


def extract(
    source: Source,
    connector: Connector,
    settings: Any,
    request: ReadRequest,
    *,
    into: Stage,
    progress: Callable[[int], None],
) -> Mapping[str, Any] | None:
    """Read everything into the stage; the state of the last checkpoint, or None when the source keeps none.

    Returning at all means that the source said it was complete.
    """
    state: Mapping[str, Any] | None = None
    done = 0
    for item in _items(source, connector, settings, request):
        if item.stream != request.stream:
            continue
        if isinstance(item, Checkpoint):
            state = item.state
        else:
            done += into.take(item)
            progress(done)
    return state


def _items(source: Source, connector: Connector, settings: Any, request: ReadRequest) -> Iterator[Page | Checkpoint]:
    """What the source yields; only its own failures are blamed on it, not what the caller does between two items."""
    with blame(connector):
        items = iter(source.read(settings, request))
    while True:
        with blame(connector):
            item = next(items, None)
        if item is None:
            return
        yield item
