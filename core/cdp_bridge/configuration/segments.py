"""Refuses audiences of segments that their connection does not have, where the store knows that."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from cdp_bridge.entities import Activation, Bridge, CDPConnection
from cdp_bridge.errors import ConfigError
from cdp_bridge.store import Store


def unknown(store: Store, before: Bridge, after: Bridge) -> Iterator[tuple[str, ConfigError]]:
    """(audience, error) for each that names, now for the first time, a segment that the connection does not list.

    Only a list that is whole and recent says so, and of a connection that stays as it is.
    """
    accounts = [_account(connection) for connection in before.connections]
    same = {connection.name for connection in after.connections if _account(connection) in accounts}
    listings = {name: at for name, at in store.segment_listings().items() if name in same}
    new = [audience for audience in after.audiences if _segment(audience) not in map(_segment, before.audiences)]
    if not any(audience.connection in listings for audience in new):
        return
    known: dict[str, dict[str, str]] = {}
    for segment in store.segments():
        if segment.gone_since is None:
            known.setdefault(segment.connection, {})[segment.segment_id] = segment.segment_name
    for audience in new:
        segments = known.get(audience.connection)
        if audience.connection in listings and segments and audience.segment not in segments:
            yield (
                audience.name,
                ConfigError(
                    f"{audience.connection} had no segment {audience.segment} when it was asked for all, at "
                    f"{listings[audience.connection]:%Y-%m-%d %H:%M} UTC",
                    place="segment",
                    remedy=f"{_nearest(audience.segment, segments)} If it is new, let the API's discover of the "
                    "connection list them again (serve does every 15 minutes)",
                ),
            )


def _account(connection: CDPConnection) -> tuple[str, str, dict[str, Any]]:
    return connection.name, connection.cdp_provider, connection.api_credentials


def _segment(audience: Activation) -> tuple[str, str]:
    return audience.connection, audience.segment


def _nearest(segment: str, known: dict[str, str]) -> str:
    """The segment that may be meant, by its id or its name."""
    by_name = {name.casefold(): key for key, name in known.items()}
    by_name |= {key.casefold(): key for key in known}
    close = difflib.get_close_matches(segment.casefold(), by_name, n=1)
    return f"Did you mean {by_name[close[0]]}?" if close else "Choose one of those that it lists."
