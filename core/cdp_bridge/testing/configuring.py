"""Configures a store in tests, through the write path of `cdp-bridge apply`."""

from __future__ import annotations

from cdp_bridge.configuration import apply, plan
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Bridge
from cdp_bridge.store import Store


def configure(store: Store, bridge: Bridge) -> None:
    """Make the configuration of the store equal to `bridge`, which is not checked; as `apply --prune --yes`."""
    planned = plan(store, Registry(()), bridge, prune=True)
    if not planned.is_empty:
        apply(store, planned, "cli:test")
