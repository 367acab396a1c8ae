"""Reads a source: each item is checked, and its failures name the connector."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from cdp_bridge.connectors.errors import connector_errors
from cdp_bridge.connectors.loading import validated
from cdp_bridge.model import Checkpoint, Connector, Page, ReadRequest, Source

# Not None, which a source may yield by mistake: the rest of the segment would pass for gone.
_END: Any = object()


def items_of(source: Source, connector: Connector, settings: Any, request: ReadRequest) -> Generator[Page | Checkpoint]:
    """All pages and checkpoints; the source's own failures name it, not what the caller does in between."""
    with connector_errors(connector):
        items = iter(source.read(settings, request))
    while True:
        with connector_errors(connector):
            item = next(items, _END)
            if item is not _END:
                item = _validated_item(item)
        if item is _END:
            return
        yield item


def _validated_item(item: Any) -> Page | Checkpoint:
    """A page of records, or a checkpoint that can be kept; TypeError or another for anything else."""
    if isinstance(item, Checkpoint):
        return validated(Checkpoint, item)
    if isinstance(item, Page) and (hasattr(item.records, "to_pylist") or _are_mappings(item.records)):
        return item
    raise TypeError("a Page or a Checkpoint was expected")


def _are_mappings(records: Any) -> bool:
    return isinstance(records, Sequence) and all(issubclass(kind, Mapping) for kind in set(map(type, records)))
