"""/healthz and /readyz: whether the process is alive, and whether all its parts work."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from cdp_bridge.errors import BridgeError
from cdp_bridge.store import Store

Condition = Callable[[], bool]
"""Whether a part works."""


class Health(Struct, frozen=True):
    """Whether all is well, and each part."""

    ok: bool
    parts: dict[str, bool] = {}


def health(store: Store, parts: Mapping[str, Condition]) -> list[HTTPRouteHandler]:
    """The handlers of both; open to everybody, so they answer yes or no only."""

    @get("/healthz", opt={"open": True, "unrecorded": True}, sync_to_thread=False, tags=["health"])
    def healthz() -> Health:
        """The process answers."""
        return Health(True)

    @get("/readyz", opt={"open": True, "unrecorded": True}, sync_to_thread=True, tags=["health"])
    def readyz() -> Response[Health]:
        """The store answers, and every part of this process works."""
        states = {"store": _answers(store), **{name: works() for name, works in parts.items()}}
        ok = all(states.values())
        return Response(Health(ok, states), status_code=200 if ok else 503)

    return [healthz, readyz]


def _answers(store: Store) -> bool:
    try:
        store.schedules.all()
    except BridgeError:
        return False
    return True
