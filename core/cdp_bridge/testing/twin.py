"""What an author tells the kit about the server that stands in for the vendor."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Refusal = Literal["row", "count", "request"]
"""How a vendor refuses one member of many: it names the row, it only counts it, or it refuses the whole request."""


@dataclass(frozen=True, kw_only=True)
class SourceTwin:
    """A stand-in that a source reads from, fresh for each test or at least with the same people.

    No test waits in truth, so a twin that limits requests per time must begin to count anew with each test.
    `settings` are the raw settings for it, `wrong_settings` the same with a wrong credential or path. `url` is the base
    URL inside the settings (empty: nothing goes over HTTP); the kit puts a relay of its own there, which it makes fail.
    `segment` names a segment whose people fill several pages, `keys` gives the primary keys (one tuple a person) of who
    is in it now, `churn` lets some come, change and leave.
    """

    settings: Mapping[str, Any]
    wrong_settings: Mapping[str, Any]
    segment: str | None
    keys: Callable[[], Collection[tuple[Any, ...]]]
    churn: Callable[[], None] | None = None
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class DestinationTwin:
    """A stand-in that a destination writes to, fresh for each test or at least with an account of its own.

    `settings`, `wrong_settings` and `url` are as in `SourceTwin`. `audiences` gives the ids of all audiences that the
    account has now, `members` who is in one: for each member the identifier values as they were sent. `refuse` lets the
    platform refuse, from now on and in the way named, the member who has an identifier value. `conversions` gives, of a
    destination that tracks them, how often the platform counts each event id.
    """

    settings: Mapping[str, Any]
    wrong_settings: Mapping[str, Any]
    audiences: Callable[[], Collection[str]]
    members: Callable[[str], Collection[Collection[str]]]
    refuse: Mapping[Refusal, Callable[[str], None]] = field(default_factory=dict)
    conversions: Callable[[], Mapping[str, int]] | None = None
    url: str = ""
