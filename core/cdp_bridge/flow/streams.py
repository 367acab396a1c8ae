"""Every queue of the bridge, declared as data."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from msgspec import Meta, Struct

M = TypeVar("M", bound=Struct)


class Stream(Struct, Generic[M], frozen=True, kw_only=True):
    """A queue of messages of one type; publishing to a full one is an error, never a silent loss.

    `work` keeps a message until one consumer is done with it, `keep` until somebody deletes it. An id that is in the
    stream, or that was published in the last `remembered` seconds, is not put there again. Who works on a message and
    gives no sign of life for `silence` seconds loses it to another; it is given up, as undeliverable, when it has come
    `attempts` times (None: never).
    """

    name: str
    message: type[M]
    retention: Literal["work", "keep"] = "work"
    most_messages: int = 100_000
    most_bytes: int = 64 * 1024**2
    largest: int = 64 * 1024
    remembered: float = 120.0
    silence: float = 30.0
    attempts: int | None = 10
    most_in_hand: int = 1_000

    @property
    def subject(self) -> str:
        """What messages are addressed to, one subject for each id."""
        return f"cdp-bridge.{self.name}.*"


class RunOrder(Struct, frozen=True, kw_only=True):
    """Carry out this run request; the store knows which audience it is about, and whether it is still wanted."""

    request: Annotated[str, Meta(min_length=1, max_length=200)]


class Undeliverable(Struct, frozen=True, kw_only=True):
    """A message that nobody could do anything with: where it was, why it was given up, and its bytes as they came.

    `body` is shown to nobody: if it is not ours, nobody knows what is in it.
    """

    stream: str
    sequence: int
    reason: str
    attempts: int
    body: bytes


RUNS = Stream(name="runs", message=RunOrder, attempts=None)
"""Never given up here: the store counts the attempts of a run, and a run that waits for another one is no failure."""

UNDELIVERABLE = Stream(
    name="undeliverable", message=Undeliverable, retention="keep", most_bytes=256 * 1024**2, largest=512 * 1024
)
