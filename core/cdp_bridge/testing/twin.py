"""The twins that an author gives to the kit: servers that stand in for the vendor."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Refusal = Literal["row", "count", "request"]
"""How a vendor refuses a member: `row` names it, `count` only counts it, `request` refuses the whole request."""


@dataclass(frozen=True, kw_only=True)
class SourceTwin:
    """A stand-in for the vendor of a source: how the connector reaches it, and who is in it.

    The fixture `twin` of a `SourceSuite` returns or yields one, for each test fresh or at least with the same people.
    Waits take no time in the kit, so a twin that limits requests per time starts to count anew with each test. The
    functions are called in the process of the tests, between jobs of the connector; what they raise fails the test.
    """

    settings: Mapping[str, Any]
    """Raw settings, as a user writes them, under which all works. Secrets are plain text here; any text will do."""

    wrong_settings: Mapping[str, Any]
    """The same with a credential or a path that the twin refuses: a check must fail under them (MUST 06, 09)."""

    segment: str | None
    """The segment that is read, by the name or id that `ReadRequest.segment` gets; None: the source has no segments.

    Its people fill at least two pages, or what happens between pages is not tried (MUST 21, 25).
    """

    keys: Callable[[], Collection[tuple[Any, ...]]]
    """The primary keys of those who are in the segment now: a tuple for each person, its parts in the order of
    `Stream.primary_key`, and of the types that records have (`"7"` is not `7`).
    """

    churn: Callable[[], None] | None = None
    """Lets at least one person come, one change and one leave; None: MUST 23 is skipped."""

    url: str = ""
    """The base URL of the twin, `http://127.0.0.1:PORT`, as it stands in both settings; empty: nothing goes over HTTP.

    The kit puts the URL of its relay in its place, and what concerns HTTP is skipped without one.
    """


@dataclass(frozen=True, kw_only=True)
class DestinationTwin:
    """A stand-in for the platform of a destination: how the connector reaches it, and what it holds.

    The fixture `twin` of a `DestinationSuite` returns or yields one, for each test fresh or at least with an account of
    its own. `settings`, `wrong_settings` and `url` are as in `SourceTwin`, and so is how the functions are called.
    """

    settings: Mapping[str, Any]
    """Raw settings, as a user writes them, under which all works."""

    wrong_settings: Mapping[str, Any]
    """The same with a credential or a path that the twin refuses."""

    audiences: Callable[[], Collection[str]]
    """The ids of all audiences that the account has now: what `AudienceRef.id` holds."""

    members: Callable[[str], Collection[Collection[str]]]
    """The members of an audience, by its id: for each the identifier values as they were sent, such as 64 hex digits
    of a hashed address; a member who is there twice, twice. KeyError or an empty list for an unknown id.
    """

    refuse: Mapping[Refusal, Callable[[str], None]] = field(default_factory=dict)
    """Functions by the way of refusing; each gets an identifier value, and from then on the twin refuses, in that way,
    the member who has it. Leave out the ways that the platform does not have: MUST 32 (`row`), 33 (`count`) or 34
    (`request`) is skipped then.
    """

    conversions: Callable[[], Mapping[str, int]] | None = None
    """How often the platform counts each event, by its event id; None: the destination tracks no conversions."""

    url: str = ""
    """The base URL of the twin as it stands in both settings; empty: nothing goes over HTTP."""
