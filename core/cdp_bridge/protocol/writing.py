"""A destination driven by somebody else's platform: RECORD and STATE lines in, batches out, STATE lines back.

A STATE leaves only after the platform has answered for every record before it: taken, refused by name, or (a warning
says how many) left in doubt.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any

from cdp_bridge.connectors.errors import connector_errors, opened
from cdp_bridge.connectors.loading import implementation, validated
from cdp_bridge.delivery.sender import Sender
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import Catalog, Connector, Stream
from cdp_bridge.protocol.audience import AudienceWriter, Tally
from cdp_bridge.protocol.budget import ProcessBudget
from cdp_bridge.protocol.catalog import ConfiguredCatalog, ConfiguredStream, StreamName
from cdp_bridge.protocol.intake import BadLineError, Record, lines
from cdp_bridge.protocol.messages import Message, Output

log = logging.getLogger(__name__)

RECORDS_AT_ONCE = 20_000
BYTES_AT_ONCE = 32 * 1024 * 1024
SECONDS_AT_MOST = 60.0
"""How long a STATE may wait for more records before what is there is delivered."""


def write(connector: Connector, settings: Any, catalog: ConfiguredCatalog, stdin: IO[bytes], output: Output) -> None:
    """Carry out every line of `stdin`; BadLineError ends it after what came before the bad line is delivered."""
    destination = implementation(connector)
    with connector_errors(connector):
        objects = validated(Catalog, destination.discover(settings)).streams
    with opened(destination, settings, connector) as writer:
        sender = Sender(writer, connector.limits, ProcessBudget())
        audiences = [
            AudienceWriter(chosen, _object(chosen, objects), writer, sender, connector.limits)
            for chosen in catalog.streams
        ]
        intake = Intake({audience.name: audience for audience in audiences}, output)
        try:
            for number, length, line in lines(stdin):
                if line.record is not None and line.type == "RECORD":
                    intake.record(number, length, line.record)
                elif line.state is not None and line.type == "STATE":
                    intake.state(number, line.state)
        except BadLineError:
            intake.deliver()
            raise
        intake.deliver()
    for audience in audiences:
        audience.summarise()


def _object(chosen: ConfiguredStream, objects: Sequence[Stream]) -> Stream:
    wanted = chosen.destination_object_name
    target = next((o for o in objects if wanted in (None, o.name)), None)
    if target is None:
        raise ConfigError(
            f"the stream {chosen.stream} has no object to go to",
            place="catalog",
            remedy=f"Choose a destination object of: {', '.join(o.name for o in objects)}",
        )
    if chosen.destination_sync_mode == "overwrite":
        log.warning("stream %s: overwrite is not offered; its records are added and nobody is removed", chosen.stream)
    return target


class Intake:
    """Collects records and STATE messages until there is enough for a delivery."""

    def __init__(self, audiences: Mapping[StreamName, AudienceWriter], output: Output) -> None:
        self._audiences, self._output = audiences, output
        self._held: list[tuple[Message, list[Tally]]] = []
        self._records = self._bytes = 0
        self._delivered_at = time.monotonic()

    def record(self, number: int, length: int, record: Record) -> None:
        """Take one record; BadLineError when nobody chose its stream."""
        audience = self._audiences.get(StreamName(record.stream, record.namespace))
        if audience is None:
            raise BadLineError(number, "is a record of a stream that the catalog does not have")
        audience.collect(record.data)
        self._records += 1
        self._bytes += length
        if self._records >= RECORDS_AT_ONCE or self._bytes >= BYTES_AT_ONCE:
            self.deliver()

    def state(self, number: int, state: Mapping[str, Any]) -> None:
        """Hold a STATE until everything before it is delivered."""
        covered = [audience.close_tally() for audience in self._covered(number, state)]
        self._held.append(({"type": "STATE", "state": state}, covered))
        if time.monotonic() - self._delivered_at >= SECONDS_AT_MOST:
            self.deliver()

    def deliver(self) -> None:
        """Deliver everything collected, then let the held STATE messages go."""
        for audience in self._audiences.values():
            audience.deliver()
        for message, tallies in self._held:
            counts = {
                "recordCount": float(sum(tally.accepted for tally in tallies)),
                "rejectedRecordCount": float(sum(tally.rejected for tally in tallies)),
            }
            self._output.send({**message, "state": {**message["state"], "destinationStats": counts}})
        self._held.clear()
        self._records = self._bytes = 0
        self._delivered_at = time.monotonic()

    def _covered(self, number: int, state: Mapping[str, Any]) -> list[AudienceWriter]:
        """The streams that a STATE speaks of: one, or for a global or legacy state all."""
        if state.get("type") != "STREAM":
            return list(self._audiences.values())
        try:
            named = state["stream"]["stream_descriptor"]
            return [self._audiences[StreamName(named["name"], named.get("namespace"))]]
        except (KeyError, TypeError, AttributeError):
            raise BadLineError(number, "is a state of a stream that the catalog does not have") from None
