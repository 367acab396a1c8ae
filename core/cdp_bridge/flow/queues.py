"""Every queue of the bridge, declared as data."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from msgspec import Meta, Struct

M = TypeVar("M", bound=Struct)


class Queue(Struct, Generic[M], frozen=True, kw_only=True):
    """A queue of messages of one type; publishing to a full one is an error, never a silent loss.

    `work` keeps a message until one consumer is done with it, `keep` until somebody deletes it. An id that is in the
    queue, or was published in the last `remembered` seconds, is not published again. A consumer that sends no heartbeat
    for `silence` seconds loses its message to another. After `attempts` deliveries (None: no limit) a message is given
    up as undeliverable.
    """

    name: str
    message: type[M]
    retention: Literal["work", "keep"] = "work"
    max_messages: int = 100_000
    max_bytes: int = 64 * 1024**2
    largest: int = 64 * 1024
    remembered: float = 120.0
    silence: float = 30.0
    attempts: int | None = 10
    max_in_hand: int = 1_000

    @property
    def subject(self) -> str:
        """The subjects of its messages; each id has one of its own."""
        return f"cdp-bridge.{self.name}.*"


class RunOrder(Struct, frozen=True, kw_only=True):
    """An order to carry out a run request of the store."""

    request: Annotated[str, Meta(min_length=1, max_length=200)]


class Undeliverable(Struct, frozen=True, kw_only=True):
    """A message that was given up: its queue (`stream`), the reason, and its bytes as they came.

    `body` is never shown: a malformed message may hold anything.
    """

    stream: str
    sequence: int
    reason: str
    attempts: int
    body: bytes


RUNS = Queue(name="runs", message=RunOrder, attempts=None)
"""Without a limit of attempts: the store counts those of a run, and waiting for another run is no failure."""

UNDELIVERABLE = Queue(
    name="undeliverable", message=Undeliverable, retention="keep", max_bytes=256 * 1024**2, largest=512 * 1024
)
