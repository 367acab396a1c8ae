"""/healthz, /readyz: whether the process lives, and whether it can do its work."""

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
    """Both addresses; they are open to everybody, so they tell no more than yes or no."""

    @get("/healthz", opt={"open": True, "unkept": True}, sync_to_thread=False, tags=["health"])
    def healthz() -> Health:
        """The process answers."""
        return Health(True)

    @get("/readyz", opt={"open": True, "unkept": True}, sync_to_thread=True, tags=["health"])
    def readyz() -> Response[Health]:
        """The store answers, and every part that belongs to this process works."""
        found = {"store": _answers(store), **{name: works() for name, works in parts.items()}}
        ok = all(found.values())
        return Response(Health(ok, found), status_code=200 if ok else 503)

    return [healthz, readyz]


def _answers(store: Store) -> bool:
    try:
        store.schedules.all()
    except BridgeError:
        return False
    return True
