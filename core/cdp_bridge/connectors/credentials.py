"""How the references in a connector's settings are resolved where there is a store and plugins."""

from __future__ import annotations

from cdp_bridge.connectors.registry import Registry
from cdp_bridge.oauth import Grants
from cdp_bridge.secrets import Resolver
from cdp_bridge.store import Store


def grants(store: Store, registry: Registry) -> Grants:
    """The accounts that people have connected; the secrets of their apps may be kept anywhere."""
    return Grants(store, Resolver(stored=store.secrets.secret, plugins=registry.secret))


def resolver(store: Store, registry: Registry) -> Resolver:
    """Resolves every kind of reference: of this machine, of the store, of connected accounts, of plugins."""
    return Resolver(stored=store.secrets.secret, granted=grants(store, registry).token, plugins=registry.secret)
