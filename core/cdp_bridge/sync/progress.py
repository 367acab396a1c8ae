"""How far a run is, and what it would do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from cdp_bridge.entities import Funnel


class Progress(Struct, frozen=True):
    """How far a phase (`read`, `remove`, `add`, `track`) of a run is, in members; `total` None where nobody knows."""

    phase: str
    done: int
    total: int | None = None


class Preview(Struct, frozen=True):
    """What a run would do; `sample` is its first request with identifiers as they would leave."""

    funnel: Funnel
    adds: int
    changes: int
    removes: int
    sample: Mapping[str, Any] | None


OnProgress = Callable[[Progress], None]
"""A run reports its progress to it; what it raises ends the run."""
