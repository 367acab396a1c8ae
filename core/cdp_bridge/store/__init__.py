"""The bridge's one database, SQLite or PostgreSQL: configuration, ledger, runs, leases. Nobody else opens it."""

from .leases import Lease, LeaseHeldError, LeaseLostError
from .store import Store
from .transaction import Transaction
from .values import AudienceRow, Delivery, Member, MemberRow

__all__ = [
    "AudienceRow",
    "Delivery",
    "Lease",
    "LeaseHeldError",
    "LeaseLostError",
    "Member",
    "MemberRow",
    "Store",
    "Transaction",
]
