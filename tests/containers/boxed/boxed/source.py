"""People of one segment, from an HTTP server or made up."""

from __future__ import annotations

import json
from collections.abc import Iterator

from cdp_bridge.sdk import Catalog, Checkpoint, Client, Page, Probe, ReadRequest, Stream

from . import Settings
from .misdeeds import MISDEEDS

PAGE = 10_000


def check(settings: Settings) -> list[Probe]:
    """What the misdeed has found out, as JSON."""
    return [Probe.of(settings.misdeed, lambda: json.dumps(MISDEEDS[settings.misdeed]()))] if settings.misdeed else []


def discover(settings: Settings) -> Catalog:
    """The people."""
    return Catalog((Stream(name="people", primary_key=("id",), membership=True),))


def read(settings: Settings, request: ReadRequest) -> Iterator[Page | Checkpoint]:
    """All people, with the misdeed after each page of those who are made up."""
    if not settings.rows:
        with Client(settings.base_url) as client:
            yield Page("people", client.read("/people"))
    for first in range(0, settings.rows, PAGE):
        numbers = range(first, min(first + PAGE, settings.rows))
        yield Page("people", [{"id": f"u{one}", "email": f"person.{one}@example.com"} for one in numbers])
        check(settings)
