"""The bridge's one database, SQLite or PostgreSQL, which only this package opens."""

from cdp_bridge.store.leases import Lease, LeaseHeldError, LeaseLostError
from cdp_bridge.store.store import Store
from cdp_bridge.store.transaction import Transaction
from cdp_bridge.store.values import AudienceRow, Delivery, Ensured, Member, MemberRow

__all__ = [
    "AudienceRow",
    "Delivery",
    "Ensured",
    "Lease",
    "LeaseHeldError",
    "LeaseLostError",
    "Member",
    "MemberRow",
    "Store",
    "Transaction",
]
