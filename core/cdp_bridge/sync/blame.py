"""Failures of a connector's code, named as such and free of what it handled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import BridgeError
from ..model import Audience, AudienceRef, Batch, Connector, Outcome, Writer


@contextmanager
def blame(connector: Connector) -> Iterator[None]:
    """Any exception that is not a BridgeError becomes one that names the connector; its message is left out, it may
    hold values.
    """
    try:
        yield
    except BridgeError:
        raise
    except Exception as error:
        raise BridgeError(
            f"{connector.name} failed with {type(error).__name__}; this is a fault in the connector"
        ) from error


class BlamedWriter:
    """A writer each call of which is blamed on its connector."""

    def __init__(self, writer: Writer, connector: Connector) -> None:
        self._writer, self._connector = writer, connector

    def ensure(self, audience: Audience) -> AudienceRef:
        """See `Writer.ensure`."""
        with blame(self._connector):
            return self._writer.ensure(audience)

    def write(self, batch: Batch) -> Outcome:
        """See `Writer.write`."""
        with blame(self._connector):
            return self._writer.write(batch)

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        """See `Writer.settle`."""
        with blame(self._connector):
            return self._writer.settle(audience, pending)
