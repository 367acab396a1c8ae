"""/v1/segments: the segments that CDPs have, as they were last seen there."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from litestar import Controller
from msgspec.structs import replace

from ..entities import CDPSegment
from ..errors import BridgeError
from ..model import ReadRequest
from ..oauth import Grants
from ..registry import Registry
from ..store import Store
from ..sync.account import Account, discover
from .endpoint import CoreGiven, CursorText, Filter, Limit, reads
from .paging import Listing, page_of_all

log = logging.getLogger(__name__)

STREAMS = ("segments", "audiences")
"""What sources call the stream that lists their segments, by `key` or `id`, `name` and `size`."""
MOST = 10_000


class Segments(Controller):
    """Segments of CDPs."""

    path = "/segments"
    tags = ("segments",)

    @reads("/")
    def list_segments(
        self, core: CoreGiven, connection: Filter = None, limit: Limit = 50, cursor: CursorText = None
    ) -> Listing[CDPSegment]:
        """List the segments that were seen in the CDPs, by connection and id."""
        found = [one for one in core.store.segments() if connection in (None, one.connection)]
        return page_of_all(core.cursors, found, limit, cursor, lambda one: [one.connection, one.segment_id])


def look(store: Store, registry: Registry) -> None:
    """Remember the segments of all connections; those that cannot be asked are left for the next time."""
    resolve = Grants(store, registry.secret).resolve
    for connection in store.bridge().connections:
        try:
            account = discover(registry, connection.cdp_provider, connection.api_credentials, resolve)
            remember(store, connection.name, account)
        except BridgeError as error:
            log.warning("the segments of %s cannot be listed: %s", connection.name, error)


def remember(store: Store, connection: str, account: Account) -> list[CDPSegment]:
    """The segments that an account lists, now in the store; what is known of their syncs stays."""
    stream = next((one.name for one in account.catalog.streams if one.name in STREAMS), None)
    if stream is None or account.connector.kind != "source":
        return []
    known = {one.segment_id: one for one in store.segments() if one.connection == connection}
    found = []
    for listed in _listed(account.records(ReadRequest(stream=stream), MOST), connection):
        before = known.get(listed.segment_id, listed)
        count = before.member_count if listed.member_count is None else listed.member_count
        found.append(replace(before, segment_name=listed.segment_name, member_count=count))
    with store.transaction() as transaction:
        for segment in found:
            transaction.save_segment(segment)
    return found


def _listed(records: list[Mapping[str, Any]], connection: str) -> Iterator[CDPSegment]:
    for record in records:
        name = str(record.get("key") or record.get("id") or "")
        size = record.get("size")
        if isinstance(size, Mapping):
            size = size.get("count")
        if name:
            yield CDPSegment(
                connection=connection,
                segment_id=name,
                segment_name=str(record.get("name") or name),
                member_count=size if isinstance(size, int) else None,
            )
