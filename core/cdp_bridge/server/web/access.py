"""Authenticates API keys, checks roles and limits the rate of requests."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import anyio
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from cdp_bridge.entities import ApiKey, Role
from cdp_bridge.server.web.problems import problem
from cdp_bridge.server.web.read_limiter import limited_read
from cdp_bridge.store import Store
from cdp_bridge.store.access.audit import AuditRecord

RANKS: dict[Role, int] = {"viewer": 0, "operator": 1, "admin": 2}

A_SECOND, BURST = 300.0, 600.0
"""The rate limit of one key: sustained requests a second, and burst."""
STRANGERS_A_SECOND, STRANGERS_BURST = 5.0, 100.0
"""The rate limit of requests without a valid key, by address."""
REFUSALS_BURST = 60.0
"""How many refusals of different addresses are audited at once; then one a minute."""
MAX_CALLERS = 10_000


class Rates:
    """A token bucket for each of the most recent `MAX_CALLERS` callers."""

    def __init__(self, a_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_second, self._burst, self._clock = a_second, burst, clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, caller: str) -> float:
        """Count a request: 0, or the seconds until the next one is allowed."""
        now = self._clock()
        left, since = self._buckets.pop(caller, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._a_second)
        taken = left >= 1
        self._buckets[caller] = (left - 1 if taken else left, now)
        if len(self._buckets) > MAX_CALLERS:
            del self._buckets[next(iter(self._buckets))]
        return 0.0 if taken else (1 - left) / self._a_second


class Refusals:
    """Writes down that an address was refused: once a minute for each, and not for too many addresses."""

    def __init__(self, store: Store, kind: str) -> None:
        self._store, self._kind = store, kind
        self._all, self._of_one = Rates(1 / 60, REFUSALS_BURST), Rates(1 / 60, 1)

    def audit(self, address: str) -> None:
        """Write it down, unless there was too much of it."""
        if not self._of_one.wait(address) and not self._all.wait(""):
            self._store.audit.add(AuditRecord(who=address, action="refuse", kind=self._kind, name=""))


class Access(ASGIMiddleware):
    """Requires a valid API key of the handler's `role` or a higher one; it becomes `connection.user`.

    /docs and handlers marked `open` require none. Not a guard of Litestar, since each of those would take a thread.
    """

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = "open"

    def __init__(self, store: Store) -> None:
        self._store = store
        self.should_bypass_for_scope = _is_description
        self._callers = Rates(A_SECOND, BURST)
        self._strangers = Rates(STRANGERS_A_SECOND, STRANGERS_BURST)
        self._refusals = Refusals(store, "api key")

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Find the key, count the request, compare the roles."""
        connection: ASGIConnection[Any, Any, Any, Any] = ASGIConnection(scope)
        credentials = connection.headers.getall("authorization", [])
        text = _key_text(credentials)
        key = await limited_read(self._store.api_keys.find, text) if text else None
        if key is None:
            address = connection.client.host if connection.client else ""
            count(self._strangers, address)
            if credentials:
                await anyio.to_thread.run_sync(self._refusals.audit, address)
            raise problem(
                HTTPStatus.UNAUTHORIZED,
                "no valid API key is presented",
                place="header Authorization",
                remedy="Send Authorization: Bearer KEY; cdp-bridge keys create makes one",
                headers={"WWW-Authenticate": 'Bearer realm="cdp-bridge"'},
            )
        count(self._callers, key.id)
        _compare(key.role, scope["route_handler"].opt.get("role", "viewer"))
        scope["user"], scope["auth"] = key, key.role
        await next_app(scope, receive, send)


def _key_text(credentials: list[str]) -> str:
    """The key that a request presents; none of several headers, since a proxy may judge another than this server."""
    scheme, _, text = credentials[0].partition(" ") if len(credentials) == 1 else ("", "", "")
    return text.strip() if scheme.lower() == "bearer" else ""


def _is_description(scope: Scope) -> bool:
    return scope["path"] == "/docs" or scope["path"].startswith("/docs/")


def count(rates: Rates, caller: str) -> None:
    """Count a request; problem 429 above the rate limit."""
    wait = rates.wait(caller)
    if wait:
        raise problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "there are too many requests",
            remedy="Wait as long as the header Retry-After says",
            headers={"Retry-After": str(int(wait) + 1)},
        )


def _compare(role: Role, needed: Role) -> None:
    if RANKS[role] < RANKS[needed]:
        raise problem(
            HTTPStatus.FORBIDDEN,
            f"this takes the role {needed}",
            place="header Authorization",
            remedy=f"Use a key of the role {needed}",
        )


def who(key: ApiKey) -> str:
    """The name of a caller in the audit log."""
    return f"{key.id} {key.name}"
