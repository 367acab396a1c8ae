"""Serves the calls of the core in a connector's process until the stream ends."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import msgspec

from cdp_bridge import settings
from cdp_bridge.connectors.loading import checked, implementation, validated
from cdp_bridge.connectors.transport import wire
from cdp_bridge.mapping.records import record_batch
from cdp_bridge.model import (
    AudienceRef,
    Catalog,
    Channel,
    Checkpoint,
    Connector,
    Inventory,
    Outcome,
    Page,
    ReadRequest,
)

OPTIONAL = ("estimate", "preview", "inventory")


def serve(connector: Connector, channel: Channel) -> None:
    """Answer calls in order; an exception is sent as the answer."""
    with ExitStack() as stack:
        serving = _Serving(connector, channel, stack)
        decoder = msgspec.msgpack.Decoder(wire.Call)
        while True:
            try:
                call = wire.receive(channel, decoder)
            except EOFError:
                return
            try:
                value = serving.answer(call)
            except Exception as error:
                wire.send(channel, wire.Raised.of(error))
            else:
                wire.send(channel, wire.Value(msgspec.Raw(msgspec.msgpack.encode(value))))


class _Serving:
    def __init__(self, connector: Connector, channel: Channel, stack: ExitStack) -> None:
        self._connector, self._channel, self._stack = connector, channel, stack
        self._code: Any = None
        self._settings: Any = None
        self._writer: Any = None

    def answer(self, call: wire.Call) -> Any:
        """What the connector returns."""
        match call:
            case wire.Configure():
                self._settings = settings.unseal(self._connector.settings, call.settings)
                self._code = implementation(self._connector)
                return [name for name in OPTIONAL if hasattr(self._code, name)]
            case wire.Check():
                return checked(self._code, self._settings)
            case wire.Discover():
                return validated(Catalog, self._code.discover(self._settings))
            case wire.Read():
                return self._read(call.request)
            case wire.Estimate():
                return self._code.estimate(self._settings, call.request)
            case wire.Preview():
                return self._code.preview(self._settings, call.batch)
            case wire.TakeInventory():
                return validated(Inventory, self._code.inventory(self._settings))
        return self._write(call)

    def _write(self, call: wire.Call) -> Any:
        match call:
            case wire.Open():
                self._writer = self._stack.enter_context(self._code.open(self._settings))
                return None
            case wire.Ensure():
                return validated(AudienceRef, self._writer.ensure(call.audience))
            case wire.Write():
                return validated(Outcome, self._writer.write(call.batch))
            case wire.Settle():
                return validated(Outcome, self._writer.settle(call.audience, call.pending))
        self._writer = None
        self._stack.close()
        return None

    def _read(self, request: ReadRequest) -> None:
        for item in self._code.read(self._settings, request):
            wire.send(self._channel, _on_the_wire(item))


def _on_the_wire(item: Page | Checkpoint) -> wire.Records | wire.State:
    import pyarrow as pa

    if isinstance(item, Checkpoint):
        return wire.State(item.stream, dict(item.state))
    batch = record_batch(item.records)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return wire.Records(item.stream, sink.getvalue().to_pybytes(), item.table)
