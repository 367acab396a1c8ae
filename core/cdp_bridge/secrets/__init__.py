"""Secrets, the references that stand for them, and the one resolver of all references."""

from cdp_bridge.secrets.references import BUILT_IN, is_reference
from cdp_bridge.secrets.resolver import Lookup, Resolver
from cdp_bridge.secrets.secret import Secret

__all__ = ["BUILT_IN", "Lookup", "Resolver", "Secret", "is_reference"]
