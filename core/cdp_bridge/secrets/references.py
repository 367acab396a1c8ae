"""References in place of secrets: `env:NAME`, `file:PATH`, `store:NAME`, `oauth:NAME`, and those of plugins."""

from __future__ import annotations

BUILT_IN = ("env", "file", "store", "oauth")
"""Schemes of references that need no plugin; the last two are kept by a store."""


def is_reference(value: str) -> bool:
    """Whether a string names a secret held elsewhere instead of being one."""
    scheme, colon, rest = value.partition(":")
    return bool(colon and rest) and scheme.isalpha() and scheme.islower()
