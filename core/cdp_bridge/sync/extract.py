"""What a run reads: the source's pages, staged, and where the next run may go on from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..model import Checkpoint, Connector, ReadRequest, Source
from .items import items_of
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
    for item in items_of(source, connector, settings, request):
        if item.stream != request.stream:
            continue
        if isinstance(item, Checkpoint):
            state = item.state
        else:
            done += into.take(item)
            progress(done)
    return state
