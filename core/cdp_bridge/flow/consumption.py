"""Taking messages off a stream: one in hand is kept alive, and ends in one of three ways: done, later, given up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg

from cdp_bridge.errors import BridgeError, RejectedError, TransientError
from cdp_bridge.flow.connection import Connection
from cdp_bridge.flow.declaration import CONSUMER
from cdp_bridge.flow.streams import Stream, Undeliverable

log = logging.getLogger(__name__)
M = TypeVar("M", bound=Struct)

PULL_SECONDS = 0.5
"""How long a request for the next message waits at the server."""
ANSWER_SECONDS = 5.0
LONGEST_BACKOFF = 300.0
_DONE = b"+ACK"
_WORKING = b"+WPI"
_NEXT = json.dumps({"batch": 1, "expires": int(PULL_SECONDS * 1e9)}).encode()


class Delivery(Struct, Generic[M], frozen=True, kw_only=True):
    """A message in hand; it comes for the `attempt`-th time."""

    message: M
    attempt: int


Handler = Callable[[Delivery[M]], None]
"""Works on one message, in a thread of its own.

Returning means done. RejectedError: never again, the message is kept aside with the reason. TransientError: later,
after `retry_after`. Any other exception: later, and it is logged.
"""


class Consumption(Generic[M]):
    """One process's share of a `work` stream; `declare` makes the stream anew, `bury` keeps what is given up."""

    def __init__(
        self,
        connection: Connection,
        stream: Stream[M],
        handler: Handler[M],
        declare: Callable[[], Awaitable[None]],
        save_dead_letters: Callable[[Undeliverable], Awaitable[None]],
    ) -> None:
        self._connection, self._stream, self._handler = connection, stream, handler
        self._declare, self._save_dead_letters = declare, save_dead_letters
        self._is_lost = False

    async def run(self, slots: int, stop: threading.Event, grace: float) -> None:
        """Have at most `slots` messages in hand until `stop`; what is not done `grace` seconds later is handed back."""
        working: set[asyncio.Task[None]] = set()
        while not stop.is_set():
            if len(working) < slots:
                message = await self._next()
                working |= {asyncio.create_task(self._work(message, stop))} if message else set()
            else:
                await asyncio.wait(working, timeout=PULL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            done = {task for task in working if task.done()}
            working -= done
            await asyncio.gather(*done)
        _, late = await asyncio.wait(working, timeout=grace) if working else (set(), set())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _next(self) -> Msg | None:
        """The next message, or None when none came for a while; outages are waited out."""
        try:
            if self._is_lost:
                await self._declare()
            message = await self._connection.use(self._pull)
        except TransientError as error:
            if not self._is_lost:
                log.warning("waiting for the queue to come back: %s", error)
            self._is_lost = True
            await asyncio.sleep(PULL_SECONDS)
            return None
        if self._is_lost:
            log.warning("the queue is back")
        self._is_lost = False
        # What has a status is the server's word that there is nothing.
        return None if message.headers and "Status" in message.headers else message

    async def _pull(self, client: Client) -> Msg:
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream.name}.{CONSUMER}"
        # The old style has an inbox of its own for each request: a message comes under its own subject, which the one
        # inbox of the new style does not know.
        return await client.request(subject, _NEXT, timeout=PULL_SECONDS + ANSWER_SECONDS, old_style=True)

    async def _work(self, message: Msg, stop: threading.Event) -> None:
        keeper = asyncio.create_task(self._keep(message))
        try:
            await self._say(message, _later(0) if stop.is_set() else await self._verdict(message))
        except asyncio.CancelledError:
            log.warning("message %d of %s is handed back unfinished", _number(message), self._stream.name)
            await self._say(message, _later(0))
        finally:
            keeper.cancel()

    async def _keep(self, message: Msg) -> None:
        """Signs of life while the handler works; without them the server gives the message to somebody else."""
        while True:
            await asyncio.sleep(self._stream.silence / 3)
            with contextlib.suppress(BridgeError):
                await self._connection.use(lambda client: client.publish(message.reply, _WORKING))

    async def _verdict(self, message: Msg) -> bytes:
        """What to tell the server about a message, once it is known."""
        attempt, limit = message.metadata.num_delivered, self._stream.attempts
        try:
            decoded = msgspec.json.decode(message.data, type=self._stream.message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return await self._give_up(message, "malformed")
        if limit is not None and attempt > limit:
            return await self._give_up(message, "too_many_attempts")
        try:
            await _in_thread(self._handler, Delivery(message=decoded, attempt=attempt))
        except RejectedError as error:
            return await self._give_up(message, error.reason)
        except TransientError as error:
            return _later(_backoff(attempt) if error.retry_after is None else error.retry_after)
        except Exception as error:
            what = error if isinstance(error, BridgeError) else type(error).__name__
            log.error("message %d of %s failed: %s", _number(message), self._stream.name, what)
            return _later(_backoff(attempt))
        return _DONE

    async def _give_up(self, message: Msg, reason: str) -> bytes:
        """Keep a message aside for a person to look at, then say that nobody should get it again."""
        number, attempt = _number(message), message.metadata.num_delivered
        letter = Undeliverable(
            stream=self._stream.name, sequence=number, reason=reason, attempts=attempt, body=message.data
        )
        try:
            await self._save_dead_letters(letter)
        except BridgeError as error:
            log.error("message %d of %s cannot be kept aside, and stays: %s", number, self._stream.name, error)
            return _later(_backoff(attempt))
        log.error("message %d of %s is given up: %s", number, self._stream.name, reason)
        return b"+TERM " + reason.encode()

    async def _say(self, message: Msg, word: bytes) -> None:
        async def say(client: Client) -> None:
            await client.request(message.reply, word, timeout=ANSWER_SECONDS)

        try:
            await self._connection.patiently(say, self._stream.silence)
        except BridgeError as error:
            log.warning("message %d of %s will come again: %s", _number(message), self._stream.name, error)


async def _in_thread(handler: Handler[M], delivery: Delivery[M]) -> None:
    """In a daemon thread: one that never returns must not keep the process from ending."""
    result: Future[None] = Future()
    result.set_running_or_notify_cancel()

    def work() -> None:
        try:
            handler(delivery)
        except BaseException as error:  # also SystemExit: the waiting task decides
            result.set_exception(error)
        else:
            result.set_result(None)

    threading.Thread(target=work, daemon=True).start()
    await asyncio.wrap_future(result)


def _number(message: Msg) -> int:
    return message.metadata.sequence.stream


def _later(seconds: float) -> bytes:
    return b"-NAK " + json.dumps({"delay": int(seconds * 1e9)}).encode() if seconds > 0 else b"-NAK"


def _backoff(attempt: int) -> float:
    return min(2.0 ** min(attempt, 20) / 2, LONGEST_BACKOFF)
