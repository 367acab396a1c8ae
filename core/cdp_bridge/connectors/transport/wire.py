"""Defines the messages between the core and a connector's process: a length of four bytes, then MessagePack."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from cdp_bridge.errors import BridgeError, ConfigError, RejectedError, TransientError
from cdp_bridge.model import Audience, AudienceRef, Batch, Channel, ReadRequest

MAX_FRAME_BYTES = 256 * 1024 * 1024
"""Far more than a page or a batch has."""


class Configure(Struct, frozen=True, tag=True):
    """The first call: the sealed settings; answered with the names of the optional functions that the connector has."""

    settings: bytes


class Check(Struct, frozen=True, tag=True):
    """`check`: a list of Probe."""


class Discover(Struct, frozen=True, tag=True):
    """`discover`: a Catalog."""


class Read(Struct, frozen=True, tag=True):
    """`read`: Records and State, then an empty Value."""

    request: ReadRequest


class Estimate(Struct, frozen=True, tag=True):
    """`estimate`: a number or None."""

    request: ReadRequest


class Open(Struct, frozen=True, tag=True):
    """Opens the one writer of the process."""


class Close(Struct, frozen=True, tag=True):
    """Closes it."""


class Ensure(Struct, frozen=True, tag=True):
    """`ensure`: an AudienceRef."""

    audience: Audience


class Write(Struct, frozen=True, tag=True):
    """`write`: an Outcome."""

    batch: Batch


class Settle(Struct, frozen=True, tag=True):
    """`settle`: an Outcome."""

    audience: AudienceRef
    pending: str


class Preview(Struct, frozen=True, tag=True):
    """`preview`: a request as JSON values."""

    batch: Batch


class TakeInventory(Struct, frozen=True, tag=True):
    """`inventory`: an Inventory."""


Call = Configure | Check | Discover | Read | Estimate | Open | Close | Ensure | Write | Settle | Preview | TakeInventory


class Value(Struct, frozen=True, tag=True):
    """What a call returned."""

    value: Raw


class Records(Struct, frozen=True, tag=True):
    """A page: one Arrow IPC stream."""

    stream: str
    arrow: bytes
    table: str = ""


class State(Struct, frozen=True, tag=True):
    """A checkpoint."""

    stream: str
    state: dict[str, Any]


class Raised(Struct, frozen=True, tag=True):
    """A BridgeError with its parts, or the type name of another exception."""

    kind: str
    problem: str
    place: str = ""
    remedy: str = ""
    retry_after: float | None = None
    given_up: bool = False
    reason: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Raised:
        """The message for an exception."""
        match error:
            case ConfigError():
                return cls("config", error.problem, place=error.place, remedy=error.remedy)
            case TransientError():
                return cls("transient", error.problem, retry_after=error.retry_after, given_up=error.given_up)
            case RejectedError():
                return cls("rejected", error.problem, reason=error.reason)
        return cls("bug", type(error).__name__)

    def error(self, connector: str) -> BridgeError:
        """The exception of a message; another exception names the connector and no text, which may hold values."""
        match self.kind:
            case "config":
                return ConfigError(self.problem, place=self.place, remedy=self.remedy)
            case "transient":
                transient = TransientError(self.problem, retry_after=self.retry_after)
                transient.given_up = self.given_up
                return transient
            case "rejected":
                return RejectedError(self.problem, reason=self.reason)
        return BridgeError(f"{connector} failed with {self.problem}; this is a fault in the connector")


Reply = Value | Records | State | Raised

_encoder = msgspec.msgpack.Encoder()


def send(channel: Channel, message: Call | Reply) -> None:
    """Send one message."""
    body = _encoder.encode(message)
    channel.write(len(body).to_bytes(4) + body)


def receive(channel: Channel, decoder: msgspec.msgpack.Decoder[Any]) -> Any:
    """The next message; EOFError at the end of the stream, ValueError if the frame is malformed."""
    head = channel.read(4)
    if len(head) < 4:
        raise EOFError
    size = int.from_bytes(head)
    if size > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {size} bytes")
    body = channel.read(size)
    if len(body) < size:
        raise EOFError
    return decoder.decode(body)
