"""Consumes a queue: each message ends as done, to be delivered again, or given up as undeliverable."""

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
from cdp_bridge.flow.queues import Queue, Undeliverable

log = logging.getLogger(__name__)
M = TypeVar("M", bound=Struct)

PULL_SECONDS = 0.5
"""How long a pull request waits at the server for a message."""
ANSWER_SECONDS = 5.0
MAX_BACKOFF = 300.0
_DONE = b"+ACK"
_WORKING = b"+WPI"
_NEXT = json.dumps({"batch": 1, "expires": int(PULL_SECONDS * 1e9)}).encode()


class FlowMessage(Struct, Generic[M], frozen=True, kw_only=True):
    """A decoded message; `attempt` is 1 at its first delivery."""

    message: M
    attempt: int


Handler = Callable[[FlowMessage[M]], None]
"""Works on one message, in a thread of its own.

Returning acknowledges the message. RejectedError: it is saved as undeliverable with the reason. TransientError: it is
delivered again after `retry_after`. Any other exception is logged, and the message delivered again.
"""


class Consumption(Generic[M]):
    """The consumer of a `work` queue in one process.

    `declare` creates the queue again after an outage, `save_undeliverable` stores a message that is given up.
    """

    def __init__(
        self,
        connection: Connection,
        queue: Queue[M],
        handler: Handler[M],
        declare: Callable[[], Awaitable[None]],
        save_undeliverable: Callable[[Undeliverable], Awaitable[None]],
    ) -> None:
        self._connection, self._queue, self._handler = connection, queue, handler
        self._declare, self._save_undeliverable = declare, save_undeliverable
        self._is_lost = False

    async def run(self, slots: int, stop: threading.Event, grace: float) -> None:
        """Handle at most `slots` messages at a time until `stop`; give back what is not done `grace` seconds later."""
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
        # With a status header it is the server's answer that there is no message.
        return None if message.headers and "Status" in message.headers else message

    async def _pull(self, client: Client) -> Msg:
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._queue.name}.{CONSUMER}"
        # The old style has an inbox of its own for each request: a message comes under its own subject, which the one
        # inbox of the new style does not know.
        return await client.request(subject, _NEXT, timeout=PULL_SECONDS + ANSWER_SECONDS, old_style=True)

    async def _work(self, message: Msg, stop: threading.Event) -> None:
        heartbeat = asyncio.create_task(self._send_heartbeats(message))
        try:
            await self._answer(message, _later(0) if stop.is_set() else await self._verdict(message))
        except asyncio.CancelledError:
            log.warning("message %d of %s is handed back unfinished", _number(message), self._queue.name)
            await self._answer(message, _later(0))
        finally:
            heartbeat.cancel()

    async def _send_heartbeats(self, message: Msg) -> None:
        """Tell the server that the handler still works; else it delivers the message to another worker."""
        while True:
            await asyncio.sleep(self._queue.silence / 3)
            with contextlib.suppress(BridgeError):
                await self._connection.use(lambda client: client.publish(message.reply, _WORKING))

    async def _verdict(self, message: Msg) -> bytes:
        """Handle a message; the answer to the server: done, again later, or never again."""
        attempt, limit = message.metadata.num_delivered, self._queue.attempts
        try:
            decoded = msgspec.json.decode(message.data, type=self._queue.message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return await self._give_up(message, "malformed")
        if limit is not None and attempt > limit:
            return await self._give_up(message, "too_many_attempts")
        try:
            await _in_thread(self._handler, FlowMessage(message=decoded, attempt=attempt))
        except RejectedError as error:
            return await self._give_up(message, error.reason)
        except TransientError as error:
            return _later(_backoff(attempt) if error.retry_after is None else error.retry_after)
        except Exception as error:
            reason = error if isinstance(error, BridgeError) else type(error).__name__
            log.error("message %d of %s failed: %s", _number(message), self._queue.name, reason)
            return _later(_backoff(attempt))
        return _DONE

    async def _give_up(self, message: Msg, reason: str) -> bytes:
        """Save a message for a person to look at; the answer that ends its delivery."""
        number, attempt = _number(message), message.metadata.num_delivered
        undeliverable = Undeliverable(
            stream=self._queue.name, sequence=number, reason=reason, attempts=attempt, body=message.data
        )
        try:
            await self._save_undeliverable(undeliverable)
        except BridgeError as error:
            log.error(
                "message %d of %s cannot be saved as undeliverable, and stays in the queue: %s",
                number,
                self._queue.name,
                error,
            )
            return _later(_backoff(attempt))
        log.error("message %d of %s is given up: %s", number, self._queue.name, reason)
        return b"+TERM " + reason.encode()

    async def _answer(self, message: Msg, answer: bytes) -> None:
        async def send(client: Client) -> None:
            await client.request(message.reply, answer, timeout=ANSWER_SECONDS)

        try:
            await self._connection.patiently(send, self._queue.silence)
        except BridgeError as error:
            log.warning("message %d of %s will come again: %s", _number(message), self._queue.name, error)


async def _in_thread(handler: Handler[M], message: FlowMessage[M]) -> None:
    """Run the handler in a daemon thread, so that one that never returns does not keep the process alive."""
    result: Future[None] = Future()
    result.set_running_or_notify_cancel()

    def work() -> None:
        try:
            handler(message)
        except BaseException as error:  # also SystemExit: the waiting task handles it
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
    return min(2.0 ** min(attempt, 20) / 2, MAX_BACKOFF)
