"""/v1/segments: the segments that CDPs have, as they were last seen there."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from litestar import Controller
from msgspec import Struct

from cdp_bridge.connectors.probing import Account
from cdp_bridge.entities import CDPSegment
from cdp_bridge.errors import BridgeError
from cdp_bridge.model import ReadRequest
from cdp_bridge.server.web.connector_calls import ConnectorCalls
from cdp_bridge.server.web.endpoint import CoreGiven, CursorText, Filter, Limit, reads
from cdp_bridge.server.web.paging import Listing, page_of_all
from cdp_bridge.store import Store

log = logging.getLogger(__name__)

STREAMS = ("segments", "audiences")
"""What sources call the stream that lists their segments, by `key` or `id`, `name` and `size`."""
MOST = 10_000
"""Segments of one connection."""
LONGEST = 500
"""Characters of an id that could be a segment's, and of a name that is shown."""
LARGEST = 2**53


class Listed(Struct, frozen=True):
    """The records that an account lists its segments by, and whether these are all."""

    records: list[Mapping[str, Any]]
    whole: bool


class Segments(Controller):
    """Segments of CDPs."""

    path = "/segments"
    tags = ("segments",)

    @reads("/")
    def list_segments(
        self,
        core: CoreGiven,
        connection: Filter = None,
        name: Filter = None,
        limit: Limit = 50,
        cursor: CursorText = None,
    ) -> Listing[CDPSegment]:
        """List the segments that were seen in the CDPs, by name; `name` is looked for anywhere in theirs."""
        part = (name or "").casefold()
        found = [
            one
            for one in core.store.segments()
            if connection in (None, one.connection) and part in one.segment_name.casefold()
        ]
        return page_of_all(core.cursors, found, limit, cursor, _place)


def look(store: Store, asking: ConnectorCalls) -> None:
    """Remember the segments of all connections; those that cannot be asked are left for the next time."""
    for connection in store.bridge().connections:
        try:
            found = asking.discover(connection.cdp_provider, connection.api_credentials, listed)
            remember(store, connection.name, found)
        except BridgeError as error:
            log.warning("the segments of %s cannot be listed: %s", connection.name, error)


def listed(account: Account) -> Listed | None:
    """How an account lists its segments; None if it does not."""
    stream = next((one.name for one in account.catalog.streams if one.name in STREAMS), None)
    if stream is None or account.handle.connector.kind != "source":
        return None
    records = account.records(ReadRequest(stream=stream), MOST + 1)
    return Listed(records[:MOST], len(records) <= MOST)


def remember(store: Store, connection: str, found: Listed | None) -> list[CDPSegment]:
    """The segments that were listed, now in the store; none if there is no list."""
    if found is None:
        return []
    return store.record_segments(connection, list(_segments(found.records, connection)), whole=found.whole)


def _place(segment: CDPSegment) -> list[str]:
    return [segment.segment_name.casefold(), segment.connection, segment.segment_id]


def _segments(records: list[Mapping[str, Any]], connection: str) -> Iterator[CDPSegment]:
    for record in records:
        key = str(record.get("key") or record.get("id") or "")
        size = record.get("size")
        if isinstance(size, Mapping):
            size = size.get("count")
        if key.isprintable() and 0 < len(key) <= LONGEST:
            yield CDPSegment(
                connection=connection,
                segment_id=key,
                segment_name=_shown(record.get("name")) or key,
                member_count=size if isinstance(size, int) and 0 <= size <= LARGEST else None,
            )


def _shown(name: Any) -> str:
    return "".join(character for character in str(name or "") if character.isprintable())[:LONGEST].strip()
