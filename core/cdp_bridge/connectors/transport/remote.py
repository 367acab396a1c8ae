"""Calls a connector in another process through the same contracts as one in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import msgspec

from cdp_bridge.connectors.transport import wire
from cdp_bridge.errors import BridgeError
from cdp_bridge.model import (
    Audience,
    AudienceRef,
    Batch,
    Catalog,
    Channel,
    Checkpoint,
    Connector,
    Inventory,
    Outcome,
    Page,
    Probe,
    ReadRequest,
)

Start = Callable[[Connector], AbstractContextManager[Channel]]


class Remote:
    """A source or destination in a process; the first call starts it, `close` ends it.

    Each function is that of the contract; the settings given to it are not used, since the process has them already.
    The optional functions are there if the connector has them. Every function raises what the connector raised, and
    BridgeError once the process is gone.
    """

    def __init__(self, start: Start, connector: Connector, sealed: bytes) -> None:
        self._start, self._connector, self._sealed = start, connector, sealed
        self._stack = ExitStack()
        self._channel: Channel | None = None
        self._replies: msgspec.msgpack.Decoder[wire.Reply] = msgspec.msgpack.Decoder(wire.Reply)
        self._offers: tuple[str, ...] | None = None

    def start(self) -> None:
        """Start the process now, so that the first call need not wait for it."""
        self._started()

    def close(self) -> None:
        """End the process, if there is one."""
        self._channel = None
        self._stack.close()

    def check(self, settings: Any) -> list[Probe]:
        """See `Source.check`."""
        probes: list[Probe] = self.call(wire.Check(), list[Probe])
        return probes

    def discover(self, settings: Any) -> Catalog:
        """See `Source.discover`."""
        catalog: Catalog = self.call(wire.Discover(), Catalog)
        return catalog

    def read(self, settings: Any, request: ReadRequest) -> Iterator[Page | Checkpoint]:
        """See `Source.read`; a reader that is left before its end ends the process."""
        complete = False
        self._send(wire.Read(request))
        try:
            while not isinstance(reply := self._receive(), wire.Value):
                yield _from_the_wire(reply)
            complete = True
        finally:
            if not complete:
                self.close()

    @contextmanager
    def open(self, settings: Any) -> Iterator[RemoteWriter]:
        """See `Destination.open`."""
        self.call(wire.Open())
        try:
            yield RemoteWriter(self)
        finally:
            if self._channel:
                self.call(wire.Close())

    def __getattr__(self, name: str) -> Any:
        """`estimate`, `preview` and `inventory`, if the connector has them."""
        functions = {"estimate": self._estimate, "preview": self._preview, "inventory": self._inventory}
        if name not in functions or name not in self._optional():
            raise AttributeError(name)
        return functions[name]

    def call(self, message: wire.Call, result: Any = None) -> Any:
        """Make a call and wait for its result, a value of that type."""
        self._send(message)
        reply = self._receive()
        if not isinstance(reply, wire.Value):
            raise self._gone("answered with another message than expected")
        try:
            return msgspec.msgpack.decode(reply.value, type=result)
        except msgspec.ValidationError:
            # As in this process, where `connector_errors` checks what a connector returns.
            raise wire.Raised("bug", "TypeError").error(self._connector.name) from None

    def _estimate(self, settings: Any, request: ReadRequest) -> int | None:
        rows: int | None = self.call(wire.Estimate(request), int | None)
        return rows

    def _preview(self, settings: Any, batch: Batch) -> Mapping[str, Any]:
        request: dict[str, Any] = self.call(wire.Preview(batch), dict[str, Any])
        return request

    def _inventory(self, settings: Any) -> Inventory:
        inventory: Inventory = self.call(wire.TakeInventory(), Inventory)
        return inventory

    def _optional(self) -> tuple[str, ...]:
        self._started()
        return self._offers or ()

    def _started(self) -> Channel:
        if self._channel is None:
            self._channel = self._stack.enter_context(self._start(self._connector))
            self._offers = self.call(wire.Configure(self._sealed), tuple[str, ...])
        return self._channel

    def _send(self, call: wire.Call) -> None:
        channel = self._started()
        try:
            wire.send(channel, call)
        except OSError:
            raise self._gone(channel.ending()) from None

    def _receive(self) -> wire.Reply:
        channel = self._started()
        try:
            reply: wire.Reply = wire.receive(channel, self._replies)
        except (EOFError, OSError):
            raise self._gone(channel.ending()) from None
        except (ValueError, msgspec.MsgspecError):
            raise self._gone("does not speak our protocol on its output") from None
        if isinstance(reply, wire.Raised):
            raise reply.error(self._connector.name)
        return reply

    def _gone(self, how: str) -> BridgeError:
        self.close()
        return BridgeError(f"the process of {self._connector.name} {how}")


class RemoteWriter:
    """The open writer of a process."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def ensure(self, audience: Audience) -> AudienceRef:
        """See `Writer.ensure`."""
        ref: AudienceRef = self._remote.call(wire.Ensure(audience), AudienceRef)
        return ref

    def write(self, batch: Batch) -> Outcome:
        """See `Writer.write`."""
        outcome: Outcome = self._remote.call(wire.Write(batch), Outcome)
        return outcome

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        """See `Writer.settle`."""
        outcome: Outcome = self._remote.call(wire.Settle(audience, pending), Outcome)
        return outcome


def _from_the_wire(reply: wire.Reply) -> Page | Checkpoint:
    import pyarrow as pa

    match reply:
        case wire.State():
            return Checkpoint(reply.stream, reply.state)
        case wire.Records():
            with pa.ipc.open_stream(reply.arrow) as stream:
                return Page(reply.stream, stream.read_next_batch(), reply.table)
    raise BridgeError("a page was expected")
