"""/v1/segments: the segments of the CDPs as they were last listed there."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from litestar import Controller
from litestar.params import QueryParameter
from msgspec import Struct

from cdp_bridge.connectors.probing import Account
from cdp_bridge.entities import CDPSegment
from cdp_bridge.errors import BridgeError
from cdp_bridge.model import ReadRequest
from cdp_bridge.server.web.connector_calls import ConnectorCalls
from cdp_bridge.server.web.endpoint import CoreGiven, Filter, reads
from cdp_bridge.server.web.paging import Limit, Listing, PageRequest, PageToken
from cdp_bridge.store import Store

log = logging.getLogger(__name__)

STREAMS = ("segments", "audiences")
"""Names of the source stream that lists segments, with `key` or `id`, `name` and `size`."""
MAX_SEGMENTS = 10_000
"""The most segments that are listed of one connection."""
MAX_LENGTH = 500
"""The most characters of a segment id or name."""
MAX_MEMBER_COUNT = 2**53
SegmentOrder = Literal["segment_name", "-segment_name", "member_count", "-member_count", "last_sync", "-last_sync"]


class Listed(Struct, frozen=True):
    """The records of an account's segments, and whether these are all."""

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
        sort: Annotated[SegmentOrder, QueryParameter(description="With `-`, the largest comes first")] = "segment_name",
        limit: Limit = 50,
        cursor: PageToken = None,
    ) -> Listing[CDPSegment]:
        """List the segments of the CDPs; `name` selects those whose name contains it."""
        part = (name or "").casefold()
        segments = [
            segment
            for segment in core.store.segments()
            if connection in (None, segment.connection) and part in segment.segment_name.casefold()
        ]
        field = sort.removeprefix("-")
        return core.page_tokens.page_of_all(
            PageRequest(limit, cursor, sort),
            segments,
            lambda segment: getattr(segment, field),
            lambda segment: [segment.connection, segment.segment_id],
        )


def save_segments(store: Store, connector_calls: ConnectorCalls) -> None:
    """List the segments of all connections and save them; a connection that fails is logged."""
    for connection in store.bridge().connections:
        try:
            segments = connector_calls.discover(connection.cdp_provider, connection.api_credentials, listed)
            remember(store, connection.name, segments)
        except BridgeError as error:
            log.warning("the segments of %s cannot be listed: %s", connection.name, error)


def listed(account: Account) -> Listed | None:
    """The segments of an account; None if its connector does not list them."""
    stream = next((stream.name for stream in account.catalog.streams if stream.name in STREAMS), None)
    if stream is None or account.handle.connector.kind != "source":
        return None
    records = account.records(ReadRequest(stream=stream), MAX_SEGMENTS + 1)
    return Listed(records[:MAX_SEGMENTS], len(records) <= MAX_SEGMENTS)


def remember(store: Store, connection: str, segments: Listed | None) -> list[CDPSegment]:
    """Save the listed segments; they are returned as stored."""
    if segments is None:
        return []
    return store.record_segments(connection, list(_segments(segments.records, connection)), whole=segments.whole)


def _segments(records: list[Mapping[str, Any]], connection: str) -> Iterator[CDPSegment]:
    for record in records:
        key = str(record.get("key") or record.get("id") or "")
        size = record.get("size")
        if isinstance(size, Mapping):
            size = size.get("count")
        if key.isprintable() and 0 < len(key) <= MAX_LENGTH:
            yield CDPSegment(
                connection=connection,
                segment_id=key,
                segment_name=_shown(record.get("name")) or key,
                member_count=size if isinstance(size, int) and 0 <= size <= MAX_MEMBER_COUNT else None,
            )


def _shown(name: Any) -> str:
    return "".join(character for character in str(name or "") if character.isprintable())[:MAX_LENGTH].strip()
