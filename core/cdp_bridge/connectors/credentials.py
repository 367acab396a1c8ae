"""How the references in a connector's settings are resolved where there is a store and plugins."""

from __future__ import annotations

from cdp_bridge.connectors.registry import Registry
from cdp_bridge.oauth import Grants, SignIns
from cdp_bridge.secrets import Resolver
from cdp_bridge.store import Store


def sign_ins(store: Store, registry: Registry) -> SignIns:
    """The sign-ins by which people connect accounts."""
    return SignIns(store, _of_apps(store, registry))


def resolver(store: Store, registry: Registry) -> Resolver:
    """Resolves every kind of reference: of this machine, of the store, of connected accounts, of plugins."""
    granted = Grants(store, _of_apps(store, registry)).token
    return Resolver(stored=store.secrets.secret, granted=granted, plugins=registry.secret)


def _of_apps(store: Store, registry: Registry) -> Resolver:
    """Resolves the secrets of OAuth apps, which may be kept anywhere but behind a sign-in."""
    return Resolver(stored=store.secrets.secret, plugins=registry.secret)
