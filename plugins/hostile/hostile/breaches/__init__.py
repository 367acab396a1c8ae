"""Connectors that each break one rule of docs/connector-spec.md, in a way in which integrators do break it."""

from hostile.breaches import destination, every, source
from hostile.breaches.table import BREACHES, Breach

__all__ = ["BREACHES", "Breach", "destination", "every", "source"]
