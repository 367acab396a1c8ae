"""The flow: publish to streams and work on them, for code that knows no event loop."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Coroutine, Iterable
from typing import Any, Self, TypeVar

import msgspec
from msgspec import Struct
from nats.aio.client import Client

from cdp_bridge.flow.address import Find
from cdp_bridge.flow.connection import Connection
from cdp_bridge.flow.consumption import ANSWER_SECONDS, Consumption, Handler
from cdp_bridge.flow.declaration import declare
from cdp_bridge.flow.failures import ThereAlreadyError
from cdp_bridge.flow.streams import RUNS, UNDELIVERABLE, Stream, Undeliverable

M = TypeVar("M", bound=Struct)
T = TypeVar("T")

PATIENCE = 30.0


class Flow:
    """Streams of a queue server; safe to share between threads, open for the length of a `with` block.

    A server that is away is waited for, up to `patience` seconds a call, then it is a TransientError; FullError comes
    at once. ConfigError when the server refuses us, or has other streams under the names of ours.
    """

    def __init__(self, find: Find, streams: Iterable[Stream[Any]] = (RUNS,), *, patience: float = PATIENCE) -> None:
        self._streams, self._patience = (*streams, UNDELIVERABLE), patience
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="flow", daemon=True)
        self._thread.start()
        self._connection = Connection(find)
        try:
            self._run(self._connection.patiently(self._declare, patience))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up and end the event loop; `consume` must have returned."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def publish(self, stream: Stream[M], message: M, *, id: str) -> bool:
        """Put a message on disk at the server; False if one with that id is there, or was a moment ago.

        After an error it may be there or not: publish it again with the same id. RejectedError: it is too large.
        """
        return self._run(self._publish(stream, message, id))

    def consume(
        self,
        stream: Stream[M],
        handler: Handler[M],
        *,
        stop: threading.Event,
        slots: int = 1,
        grace: float = 10.0,
    ) -> None:
        """Work on a `work` stream, `slots` messages at a time, until `stop` is set; outages are waited out.

        Then no new one is taken, and what is not done within `grace` seconds goes back to be done by others at once,
        though its handler may still run: the caller should end the process.
        """
        consumption = Consumption(
            self._connection,
            stream,
            handler,
            lambda: self._connection.use(self._declare),
            self._save_dead_letters,
        )
        self._run(consumption.run(slots, stop, grace))

    def count(self, stream: Stream[Any]) -> int:
        """How many messages are there, in hand or not."""

        async def ask(client: Client) -> int:
            return (await client.jetstream().stream_info(stream.name)).state.messages

        return self._run(self._connection.patiently(ask, self._patience))

    def undeliverable(self, limit: int = 100) -> list[Undeliverable]:
        """What was given up, oldest first."""

        async def read(client: Client) -> list[Undeliverable]:
            jetstream, found, last = client.jetstream(), [], 0
            there = (await jetstream.stream_info(UNDELIVERABLE.name)).state.messages
            for _ in range(min(limit, there)):
                raw = await jetstream.get_msg(UNDELIVERABLE.name, last + 1, subject=UNDELIVERABLE.subject, next=True)
                last = raw.seq or last
                found.append(msgspec.json.decode(raw.data or b"", type=Undeliverable))
            return found

        return self._run(self._connection.patiently(read, self._patience))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _end(self) -> None:
        await self._connection.close()
        # The client has cancelled its tasks, but does not wait for them.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _declare(self, client: Client) -> None:
        address = self._connection.address
        assert address is not None, "it is connected"
        for stream in self._streams:
            await declare(client.jetstream(), stream, address.replicas)

    async def _publish(self, stream: Stream[M], message: M, id: str) -> bool:
        body = msgspec.json.encode(message)
        # An id may be anything; a subject and a header may not.
        digest = hashlib.sha256(id.encode()).hexdigest()[:32]
        subject = stream.subject.replace("*", digest)

        async def send(client: Client) -> bool:
            receipt = await client.jetstream().publish(
                subject, body, timeout=ANSWER_SECONDS, stream=stream.name, headers={"Nats-Msg-Id": digest}
            )
            return not receipt.duplicate

        try:
            return await self._connection.patiently(send, self._patience)
        except ThereAlreadyError:
            return False

    async def _save_dead_letters(self, letter: Undeliverable) -> None:
        await self._publish(UNDELIVERABLE, letter, f"{letter.stream}-{letter.sequence}")
