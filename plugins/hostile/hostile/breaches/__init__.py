"""Connectors that each break one rule of docs/connector-spec.md, in a way in which integrators do break it."""

from . import destination, every, source
from .table import BREACHES, Breach

__all__ = ["BREACHES", "Breach", "destination", "every", "source"]
