"""Airbyte messages in and out: the executable that every connector gets for free."""

from cdp_bridge.protocol.executable import execute, run

__all__ = ["execute", "run"]
