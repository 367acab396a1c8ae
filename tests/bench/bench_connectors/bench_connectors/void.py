"""A destination that accepts everybody and stores nobody."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from cdp_bridge.sdk import Audience, AudienceRef, Batch, Catalog, Outcome, Probe, Stream

from . import Nothing


def check(settings: Nothing) -> list[Probe]:
    """Nothing can be wrong."""
    return []


def discover(settings: Nothing) -> Catalog:
    """One object, with Meta's identifiers."""
    return Catalog((Stream(name="audience", profile="meta", operations=("add", "remove")),))


@contextlib.contextmanager
def open(settings: Nothing) -> Iterator[VoidWriter]:
    """A writer."""
    yield VoidWriter()


class VoidWriter:
    """Accepts every member."""

    def ensure(self, audience: Audience) -> AudienceRef:
        """Always the same."""
        return AudienceRef(id="1", account="void")

    def write(self, batch: Batch) -> Outcome:
        """Everybody is taken."""
        return Outcome()

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        """Nothing is ever pending."""
        return Outcome()
