"""Failures of a connector's code, named as such and free of what it handled."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from cdp_bridge.connectors.loading import validated
from cdp_bridge.errors import BridgeError, Stopped
from cdp_bridge.model import Audience, AudienceRef, Batch, Connector, Destination, Outcome, Writer


@contextmanager
def connector_errors(connector: Connector) -> Iterator[None]:
    """Any exception that is not a BridgeError becomes one that names the connector; its message is left out, it may
    hold values.
    """
    try:
        yield
    except (BridgeError, KeyboardInterrupt, Stopped):
        raise
    # Also SystemExit, with which a failure would pass for success.
    except BaseException as error:
        raise BridgeError(
            f"{connector.name} failed with {type(error).__name__}; this is a fault in the connector"
        ) from error


@contextmanager
def opened(destination: Destination, settings: Any, connector: Connector) -> Iterator[CheckedWriter]:
    """An open writer; its failures name the connector, also those of opening and closing it."""
    with connector_errors(connector):
        manager = destination.open(settings)
        writer = manager.__enter__()
    try:
        yield CheckedWriter(writer, connector)
    finally:
        with connector_errors(connector):
            manager.__exit__(*sys.exc_info())


class CheckedWriter:
    """A writer whose failures name its connector, and whose answers are checked."""

    def __init__(self, writer: Writer, connector: Connector) -> None:
        self._writer, self._connector = writer, connector

    def ensure(self, audience: Audience) -> AudienceRef:
        """See `Writer.ensure`."""
        with connector_errors(self._connector):
            return validated(AudienceRef, self._writer.ensure(audience))

    def write(self, batch: Batch) -> Outcome:
        """See `Writer.write`."""
        with connector_errors(self._connector):
            outcome = validated(Outcome, self._writer.write(_copied(batch)))
            # Whoever is meant by another key would pass for accepted.
            if outcome.rejected and not outcome.rejected.keys() <= set(batch.keys):
                raise KeyError("somebody is rejected who is not in the batch")
            return outcome

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        """See `Writer.settle`."""
        with connector_errors(self._connector):
            return validated(Outcome, self._writer.settle(audience, pending))


def _copied(batch: Batch) -> Batch:
    """The batch in lists of its own, which the writer may change."""
    columns = {name: list(column) for name, column in batch.identifiers.items()}
    return replace(batch, keys=list(batch.keys), identifiers=columns, events=list(batch.events))
