"""/healthz and /readyz on a listener of their own: whether the process is alive, and whether all its parts work."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from litestar import Litestar, Response, get
from msgspec import Struct

from cdp_bridge.errors import BridgeError
from cdp_bridge.store import Store

Condition = Callable[[], bool]
"""Whether a part works."""

READY_SECONDS = 1.0
"""How long an answer of /readyz is given again, so that many requests do not become many queries."""


class Health(Struct, frozen=True):
    """Whether all is well, and each part."""

    ok: bool
    parts: dict[str, bool] = {}


class _Readiness:
    """The health of store and parts, looked at once in `READY_SECONDS`."""

    def __init__(self, store: Store, parts: Mapping[str, Condition]) -> None:
        self._store, self._parts = store, parts
        self._health, self._until = Health(False), -1.0

    def health(self) -> Health:
        if time.monotonic() >= self._until:
            states = {"store": _answers(self._store), **{name: works() for name, works in self._parts.items()}}
            self._health = Health(all(states.values()), states)
            self._until = time.monotonic() + READY_SECONDS
        return self._health


def health_application(store: Store, parts: Mapping[str, Condition]) -> Litestar:
    """Both addresses; open to everybody who reaches the listener, so they answer yes or no only."""
    readiness = _Readiness(store, parts)

    @get("/healthz", sync_to_thread=False)
    def healthz() -> Health:
        """The process answers."""
        return Health(True)

    @get("/readyz", sync_to_thread=True)
    def readyz() -> Response[Health]:
        """The store answers, and every part of this process works."""
        health = readiness.health()
        return Response(health, status_code=200 if health.ok else 503)

    return Litestar([healthz, readyz], openapi_config=None, logging_config=None)


def _answers(store: Store) -> bool:
    try:
        store.schedules.all()
    except BridgeError:
        return False
    return True
