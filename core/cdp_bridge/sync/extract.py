"""What a run reads: the source's pages, staged, and where the next run may go on from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..model import Checkpoint, Connector, Page, ReadRequest, Source
from .blame import blame, sound
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
            item = next(items, _END)
            if item is not _END:
                item = _sound_item(item)
        if item is _END:
            return
        yield item


# Not None, which a source may yield by mistake: the rest of the segment would pass for gone.
_END: Any = object()


def _sound_item(item: Any) -> Page | Checkpoint:
    """A page of records, or a checkpoint that can be kept; TypeError or another for anything else."""
    if isinstance(item, Checkpoint):
        return sound(Checkpoint, item)
    if isinstance(item, Page) and (hasattr(item.records, "to_pylist") or _are_mappings(item.records)):
        return item
    raise TypeError("a Page or a Checkpoint was expected")


def _are_mappings(records: Any) -> bool:
    return isinstance(records, Sequence) and all(issubclass(kind, Mapping) for kind in set(map(type, records)))
