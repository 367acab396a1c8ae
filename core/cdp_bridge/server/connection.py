"""Bounds what one client may hold: deadlines for the parts of a request, a number of connections by address."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

HEAD_SECONDS = 10.0
"""The time for the head of a request, counted from the connection or its first byte."""
BODY_SECONDS = 60.0
"""The time for the body of a request."""
ADDRESS_CONNECTIONS = 100
"""How many connections one address may have, unless it is a proxy's that is trusted."""


class Connection(H11Protocol):
    """Closes a connection that sends a request too slowly, and those of an address that has too many."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = _StrictFraming(h11.SERVER)
        self._watched = (0, "")
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connections of its address."""
        super().connection_made(transport)
        same = sum(isinstance(other, Connection) and _address(other) == _address(self) for other in self.connections)
        if same > ADDRESS_CONNECTIONS and not self._is_proxy():
            transport.abort()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._set_deadline(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, under the deadline of what is being read."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Go on with what the client has sent since."""
        super().on_response_complete()
        self._watch()

    def _is_proxy(self) -> bool:
        address = _address(self)
        networks = map(ipaddress.ip_network, self.config.forwarded_allow_ips)
        return address is not None and any(ipaddress.ip_address(address) in network for network in networks)

    def _watch(self) -> None:
        """Set a deadline when another part of a request begins; more bytes of the same part do not move it."""
        part, seconds = self._part()
        if (id(self.cycle), part) != self._watched:
            self._watched = id(self.cycle), part
            self._set_deadline(seconds)

    def _part(self) -> tuple[str, float | None]:
        """The part of a request that is being received, and the seconds that it may take."""
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            return "body", BODY_SECONDS
        # Between two requests, the server's keep-alive is the limit.
        if state is h11.IDLE and (self.cycle is None or self.conn.trailing_data[0]):
            return "head", HEAD_SECONDS
        return "none", None

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        log.info("a request was too slow, its connection is closed")
        self.transport.abort()


class _StrictFraming(h11.Connection):
    """Refuses a request whose length is given in two ways, which servers read differently (RFC 9112, 6.1)."""

    def next_event(self) -> Any:
        """As h11's, but such a request is an error, after which the connection is closed."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            names = {name for name, _ in event.headers}
            if {b"transfer-encoding", b"content-length"} <= names:
                raise h11.RemoteProtocolError("Transfer-Encoding and Content-Length together")
        return event


def _address(connection: H11Protocol) -> str | None:
    return connection.client[0] if connection.client else None
