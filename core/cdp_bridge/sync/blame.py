"""Failures of a connector's code, named as such and free of what it handled."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from ..errors import BridgeError
from ..model import Audience, AudienceRef, Batch, Connector, Destination, Outcome, Writer

T = TypeVar("T")


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


@contextmanager
def opened(destination: Destination, settings: Any, connector: Connector) -> Iterator[BlamedWriter]:
    """An open writer; its own failures are blamed on the connector, also those of opening and closing it."""
    with blame(connector):
        manager = destination.open(settings)
        writer = manager.__enter__()
    try:
        yield BlamedWriter(writer, connector)
    finally:
        with blame(connector):
            manager.__exit__(*sys.exc_info())


class BlamedWriter:
    """A writer each call of which is blamed on its connector."""

    def __init__(self, writer: Writer, connector: Connector) -> None:
        self._writer, self._connector = writer, connector

    def ensure(self, audience: Audience) -> AudienceRef:
        """See `Writer.ensure`."""
        with blame(self._connector):
            return _of(AudienceRef, self._writer.ensure(audience))

    def write(self, batch: Batch) -> Outcome:
        """See `Writer.write`."""
        with blame(self._connector):
            return _of(Outcome, self._writer.write(batch))

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        """See `Writer.settle`."""
        with blame(self._connector):
            return _of(Outcome, self._writer.settle(audience, pending))


def _of(kind: type[T], value: Any) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"a {kind.__name__} was expected")
    return value
