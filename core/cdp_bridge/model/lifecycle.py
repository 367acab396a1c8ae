"""The state changes that plugins may hear of."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field


class LifecycleEvent(Struct, frozen=True, kw_only=True):
    """A state change that plugins may hear of.

    `name` is `run.started` or `run.finished`, `subject` the audience; `details` hold names and counts only.
    """

    name: str
    subject: str
    details: Mapping[str, str | int | float | None] = field(default_factory=dict)
