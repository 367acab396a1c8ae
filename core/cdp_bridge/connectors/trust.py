"""Says which distributions' code may be imported in a process that others reach."""

from __future__ import annotations

import re
from collections.abc import Collection
from importlib.metadata import EntryPoint

OWN = (
    "cdp-bridge",
    "cdp-bridge-airbyte",
    "cdp-bridge-destination-chaos",
    "cdp-bridge-destination-file",
    "cdp-bridge-destination-google",
    "cdp-bridge-destination-meta",
    "cdp-bridge-destination-tiktok",
    "cdp-bridge-source-file",
    "cdp-bridge-source-segment",
)
"""Our own distributions, which come from one repository in one release."""
_NAMELESS = "(a distribution without a name)"


class Trust:
    """Trusts our own distributions, and those that the configuration of the process names."""

    def __init__(self, named: Collection[str]) -> None:
        self._names = {_normal(name) for name in (*OWN, *named)}

    def covers(self, point: EntryPoint) -> bool:
        """Whether the code behind an entry point may be imported."""
        return distribution(point) in self._names - {_NAMELESS}


def distribution(point: EntryPoint) -> str:
    """The name of the distribution that brings an entry point, spelt as PEP 503 has it."""
    try:
        return _normal(point.dist.name if point.dist else "") or _NAMELESS
    except Exception:
        # Its metadata are whatever somebody has packed.
        return _NAMELESS


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
