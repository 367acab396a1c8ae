"""Connects to the queue server, and again after a loss."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, TypeVar

import nats.errors
from nats.aio.client import Client

from cdp_bridge.errors import ConfigError, TransientError
from cdp_bridge.flow.address import Address, Find
from cdp_bridge.flow.failures import FullError, ThereAlreadyError, plainly
from cdp_bridge.secrets import Secret

log = logging.getLogger(__name__)
T = TypeVar("T")

CONNECT_SECONDS = 5
PING_SECONDS = 10
PAUSE = 0.2
"""Seconds between two tries."""


class Connection:
    """Connects on first use, and again on the first use after a loss; lives in one event loop."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._connecting = asyncio.Lock()
        self._client: Client | None = None
        self._lost = asyncio.Event()
        self.address: Address | None = None

    async def use(self, action: Callable[[Client], Awaitable[T]]) -> T:
        """Call `action` with the client; BridgeError when it fails, at once when the connection is lost meanwhile.

        After an error the server may have done what was asked, or not.
        """
        address, client, lost = await self._connected()
        with plainly(address.url):
            acting = asyncio.ensure_future(action(client))
            losing = asyncio.ensure_future(lost.wait())
            try:
                await asyncio.wait({acting, losing}, return_when=asyncio.FIRST_COMPLETED)
                if acting.done():
                    return acting.result()
                raise nats.errors.ConnectionClosedError
            finally:
                acting.cancel()
                losing.cancel()

    async def patiently(self, action: Callable[[Client], Awaitable[T]], seconds: float) -> T:
        """`use`, repeated for up to `seconds` while the server is away; the action must be idempotent."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return await self.use(action)
            except (FullError, ThereAlreadyError):
                raise
            except TransientError:
                if time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(PAUSE)

    async def close(self) -> None:
        """Close the connection; what was sent before is flushed."""
        if self._client is not None:
            await self._client.close()

    async def _connected(self) -> tuple[Address, Client, asyncio.Event]:
        async with self._connecting:
            if self.address is None or self._client is None or self._client.is_closed:
                self.address = self._find()
                self._lost = asyncio.Event()
                with plainly(self.address.url):
                    self._client = await _connect(self.address, self._lost)
            return self.address, self._client, self._lost


async def _connect(address: Address, lost: asyncio.Event) -> Client:
    async def closed() -> None:
        lost.set()

    client = Client()
    try:
        await client.connect(
            address.url.split(","),
            name="cdp-bridge",
            # The client would reconnect with the old address and token.
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=CONNECT_SECONDS,
            ping_interval=PING_SECONDS,
            closed_cb=closed,
            error_cb=_note,
            token=_revealed(address.token),
            user=address.user,
            password=_revealed(address.password),
            nkeys_seed_str=_seed(address),
        )
    except BaseException:
        # It fails if the connection was not yet made.
        with contextlib.suppress(AssertionError):
            await client.close()
        raise
    return client


def _seed(address: Address) -> str | None:
    if address.nkey is None:
        return None
    # The package is not typed.
    nkeys: Any = import_module("nkeys")
    seed = address.nkey.reveal()
    try:
        nkeys.from_seed(seed.encode())
    except nkeys.NkeysError:
        remedy = "Give the seed of a user's nkey, which begins with SU"
        raise ConfigError("the nkey is not one", place=address.url, remedy=remedy) from None
    return seed


async def _note(error: Exception) -> None:
    log.debug("the connection to the queue server: %s", type(error).__name__)


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()
