"""The contract of a destination, and of the writer that fills its audiences."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from cdp_bridge.model.audience import Audience, AudienceRef
from cdp_bridge.model.batch import Batch, Outcome
from cdp_bridge.model.connector import Probe
from cdp_bridge.model.source import Catalog


class Writer(Protocol):
    """An open destination, used by one run at a time."""

    def ensure(self, audience: Audience) -> AudienceRef:
        """Find the audience by its ref or marker, create it only if there is none; called again when it fails.

        Called in every run of an audience, also where nothing changed: one that the ref names should cost one cheap
        read. Never called for conversions.
        """

    def write(self, batch: Batch) -> Outcome:
        """Send one batch in one request, once.

        TransientError: the core waits and calls again with the very same batch. RejectedError: it tries the halves.
        ConfigError: it ends the run.
        """

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        """Ask for the final word on an earlier pending batch; while there is none, give `pending` again."""


class Destination(Protocol):
    """What a destination connector fulfils, usually as functions of a module.

    It may also have `preview(settings, batch) -> Mapping`: the request that `write` would send, as JSON values, for
    `sync --dry-run`; and `inventory(settings) -> Inventory`, which asks the platform.
    """

    def check(self, settings: Any) -> list[Probe]:
        """Named findings about credentials, scope, terms and writability."""

    def discover(self, settings: Any) -> Catalog:
        """The objects that can be written, with profile, operations and matching keys; needs no network."""

    def open(self, settings: Any) -> AbstractContextManager[Writer]:
        """A writer for the length of one run."""
