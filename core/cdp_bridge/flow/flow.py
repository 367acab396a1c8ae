"""Publishes to queues and consumes them, with a synchronous interface over the asyncio client of NATS."""

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
from cdp_bridge.flow.queues import RUNS, UNDELIVERABLE, Queue, Undeliverable

M = TypeVar("M", bound=Struct)
T = TypeVar("T")

PATIENCE = 30.0


class Flow:
    """The queues of a queue server; safe to share between threads, open for the length of a `with` block.

    Each call waits up to `patience` seconds for a server that is away, then raises TransientError; FullError comes at
    once. ConfigError when the server refuses us, or has streams of the same names that are declared differently.
    """

    def __init__(self, find: Find, queues: Iterable[Queue[Any]] = (RUNS,), *, patience: float = PATIENCE) -> None:
        self._queues, self._patience = (*queues, UNDELIVERABLE), patience
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
        """Close the connection and end the event loop; `consume` must have returned."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def publish(self, queue: Queue[M], message: M, *, id: str) -> bool:
        """Put a message on disk at the server; False if one with that id is there, or was a moment ago.

        After an error it may be there or not: publish it again with the same id. RejectedError: it is too large.
        """
        return self._run(self._publish(queue, message, id))

    def consume(
        self,
        queue: Queue[M],
        handler: Handler[M],
        *,
        stop: threading.Event,
        slots: int = 1,
        grace: float = 10.0,
    ) -> None:
        """Consume a `work` queue, `slots` messages at a time, until `stop` is set; waits while the server is away.

        Then it takes no new message. One that is not done within `grace` seconds goes to another worker at once, though
        its handler may still run here: the caller should end the process.
        """
        consumption = Consumption(
            self._connection,
            queue,
            handler,
            lambda: self._connection.use(self._declare),
            self._save_undeliverable,
        )
        self._run(consumption.run(slots, stop, grace))

    def count(self, queue: Queue[Any]) -> int:
        """The number of messages in the queue, those being handled included."""

        async def ask(client: Client) -> int:
            return (await client.jetstream().stream_info(queue.name)).state.messages

        return self._run(self._connection.patiently(ask, self._patience))

    def undeliverable(self, limit: int = 100) -> list[Undeliverable]:
        """The messages that were given up, oldest first."""

        async def read(client: Client) -> list[Undeliverable]:
            jetstream, messages, last = client.jetstream(), [], 0
            count = (await jetstream.stream_info(UNDELIVERABLE.name)).state.messages
            for _ in range(min(limit, count)):
                raw = await jetstream.get_msg(UNDELIVERABLE.name, last + 1, subject=UNDELIVERABLE.subject, next=True)
                last = raw.seq or last
                messages.append(msgspec.json.decode(raw.data or b"", type=Undeliverable))
            return messages

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
        for queue in self._queues:
            await declare(client.jetstream(), queue, address.replicas)

    async def _publish(self, queue: Queue[M], message: M, id: str) -> bool:
        body = msgspec.json.encode(message)
        # An id may be anything; a subject and a header may not.
        digest = hashlib.sha256(id.encode()).hexdigest()[:32]
        subject = queue.subject.replace("*", digest)

        async def send(client: Client) -> bool:
            receipt = await client.jetstream().publish(
                subject, body, timeout=ANSWER_SECONDS, stream=queue.name, headers={"Nats-Msg-Id": digest}
            )
            return not receipt.duplicate

        try:
            return await self._connection.patiently(send, self._patience)
        except ThereAlreadyError:
            return False

    async def _save_undeliverable(self, undeliverable: Undeliverable) -> None:
        await self._publish(UNDELIVERABLE, undeliverable, f"{undeliverable.stream}-{undeliverable.sequence}")
