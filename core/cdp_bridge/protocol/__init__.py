"""Airbyte messages in and out: the executable that every connector gets for free."""

from .executable import execute, run

__all__ = ["execute", "run"]
