"""Runs API, scheduler, worker and the periodic listing of segments in one process."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import uvicorn
from litestar import Litestar
from msgspec import Struct

from cdp_bridge.connectors.credentials import resolver
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.errors import BridgeError, ConfigError
from cdp_bridge.flow import Flow
from cdp_bridge.model import Launcher
from cdp_bridge.orchestration.dispatcher import Dispatcher
from cdp_bridge.orchestration.runner import Runner
from cdp_bridge.orchestration.worker import sync_on_request, work
from cdp_bridge.schedule import Scheduler
from cdp_bridge.server.api.segments import save_segments
from cdp_bridge.server.application import application
from cdp_bridge.server.connection import Connection
from cdp_bridge.server.health import health_application
from cdp_bridge.server.web.connector_calls import MAX_CALLS, ConnectorCalls
from cdp_bridge.store import Store
from cdp_bridge.store.retention import Retention

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
"""The longest time until a requested run is sent to a worker."""
LISTING_SECONDS = 15 * 60.0
"""The time between two listings of the segments of the CDPs."""
DAY_SECONDS = 24 * 60 * 60.0
DRAIN_SECONDS = 5
"""How long running requests may take once the process was asked to end."""
KEEP_ALIVE_SECONDS = 15
MAX_CONNECTIONS = 1_000
HEALTH_CONNECTIONS = 100
THREADS = 6
"""The threads for handlers that write, besides those that wait for connectors."""


class Parts(Struct, frozen=True):
    """What a service works with; `slots` is how many runs it executes at a time (0: none, other workers do).

    Once a day it deletes what is older than `keep` allows. `public_url` is its address for browsers, `proxies` the
    addresses and networks of proxies whose `X-Forwarded-For` is believed, `allowed` what of this machine an API key may
    name in settings, `allowed_hosts` the hosts besides those of the vendors.
    """

    store: Store
    registry: Registry
    flow: Flow
    launcher: Launcher | None = None
    slots: int = 2
    keep: Retention = Retention()
    public_url: str = ""
    proxies: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()


class Listeners(Struct, frozen=True):
    """The sockets that a service listens at: that of the API, and that of health for whoever supervises it."""

    api: socket.socket
    health: socket.socket


class Service:
    """Serves on listening sockets until `stop` is set; a part that fails stops all."""

    def __init__(self, parts: Parts, listeners: Listeners, stop: threading.Event) -> None:
        self._parts, self._listeners, self._stop = parts, listeners, stop
        self._threads: dict[str, threading.Thread] = {}
        self._failed = False

    def run(self) -> bool:
        """Run until the end; False if a part has failed."""
        store, registry, flow = self._parts.store, self._parts.registry, self._parts.flow
        secrets = resolver(store, registry)
        # Two, so that calls of the API cannot use up those of the listing of segments.
        api_calls, segment_calls = (ConnectorCalls(registry, secrets, self._parts.launcher) for _ in range(2))
        servers = {"api": self._api(api_calls), "health": self._health()}
        # Imported modules stay in memory; to scan them for garbage would delay all requests by 0.1 s.
        gc.collect()
        gc.freeze()
        self._start("api", lambda: servers["api"].run(sockets=[self._listeners.api]))
        self._start("health", lambda: servers["health"].run(sockets=[self._listeners.health]))
        self._start("scheduler", lambda: _schedule(store, flow, self._stop))
        self._start(
            "segments", lambda: _repeat(lambda: save_segments(store, segment_calls), LISTING_SECONDS, self._stop)
        )
        self._start("housekeeping", lambda: _repeat(lambda: _forget(store, self._parts.keep), DAY_SECONDS, self._stop))
        if self._parts.slots:
            run_sync = sync_on_request(Runner(store, registry, self._parts.launcher))
            self._start("worker", lambda: work(flow, store, run_sync, slots=self._parts.slots, stop=self._stop))
        self._stop.wait()
        for server in servers.values():
            server.should_exit = True
        for calls in (api_calls, segment_calls):
            calls.close()
        for thread in self._threads.values():
            thread.join()
        return not self._failed

    def _api(self, connector_calls: ConnectorCalls) -> uvicorn.Server:
        parts = self._parts
        app = application(
            parts.store,
            parts.registry,
            connector_calls=connector_calls,
            public_url=parts.public_url,
            allowed=parts.allowed,
            allowed_hosts=parts.allowed_hosts,
        )
        return configured(app, proxies=parts.proxies)

    def _health(self) -> uvicorn.Server:
        conditions = {
            name: lambda name=name: name not in self._threads or self._threads[name].is_alive()
            for name in ("api", "scheduler", "worker")
        }
        return configured(health_application(self._parts.store, conditions), connections=HEALTH_CONNECTIONS)

    def _start(self, name: str, function: Callable[[], None]) -> None:
        def run() -> None:
            try:
                function()
            except BaseException as error:
                reason = error if isinstance(error, BridgeError) else type(error).__name__
                log.error("the %s has failed, and everything ends: %s", name, reason, exc_info=log.isEnabledFor(10))
                self._failed = True
            finally:
                self._stop.set()

        self._threads[name] = threading.Thread(target=run, name=name, daemon=True)
        self._threads[name].start()


class _Server(uvicorn.Server):
    """Has threads for handlers that write even while others wait for connectors."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until the process is asked to end."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(MAX_CALLS + THREADS))
        await super().serve(sockets)


def configured(app: Litestar, *, proxies: Collection[str] = (), connections: int = MAX_CONNECTIONS) -> uvicorn.Server:
    """The server of an application: sends no Server header, and believes the proxy headers of `proxies` only."""
    return _Server(
        uvicorn.Config(
            app,
            http=Connection,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=list(proxies),
            lifespan="off",
            limit_concurrency=connections,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; ConfigError when the address cannot be used."""
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        why = os.strerror(error.errno or 0) if isinstance(error, OSError) else "there is no such port"
        raise ConfigError(f"cannot be listened at ({why})", place=f"{host}:{port}", remedy="Choose another") from None
    # Connections inherit it. Without it, the end of a response waits 40 ms for an acknowledgement of its beginning.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _schedule(store: Store, flow: Flow, stop: threading.Event) -> None:
    """Request the runs that are due, and send requested runs to workers."""
    scheduler, dispatcher = Scheduler(store), Dispatcher(store, flow)
    due = time.monotonic()
    while not stop.is_set():
        try:
            if time.monotonic() >= due:
                now = datetime.now(UTC)
                scheduler.tick(now)
                due = time.monotonic() + scheduler.wait(now)
            dispatcher.tick()
        except BridgeError as error:
            log.warning("nothing can be scheduled now, trying again: %s", error)
        stop.wait(min(max(due - time.monotonic(), 0.01), TICK_SECONDS))


def _forget(store: Store, keep: Retention) -> None:
    """Delete old rows, and remove them from the files; warn of keys that expire soon."""
    store.prune(keep)
    store.wipe()
    for key in store.api_keys.expiring():
        log.warning("the API key %s (%s) expires on %s; make another one", key.id, key.name, key.expires_at)


def _repeat(action: Callable[[], object], seconds: float, stop: threading.Event) -> None:
    """Call an action now and every `seconds`; a failure is logged."""
    while not stop.is_set():
        try:
            action()
        except BridgeError as error:
            log.warning("a background task failed and will be tried again: %s", error)
        stop.wait(seconds)
