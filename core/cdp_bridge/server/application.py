"""Builds the REST API as an ASGI application."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, Request, Router
from litestar.datastructures import MutableScopeHeaders
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import Message, Scope

from cdp_bridge.connectors.credentials import resolver, sign_ins
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import ApiKey
from cdp_bridge.server.api import (
    accounts,
    api_keys,
    audiences,
    audit,
    connectors,
    conversions,
    dead_letters,
    mappings,
    runs,
    segments,
    suppressions,
)
from cdp_bridge.server.api.sign_in import pages
from cdp_bridge.server.web import problems
from cdp_bridge.server.web.access import Access, Rates
from cdp_bridge.server.web.connector_calls import ConnectorCalls
from cdp_bridge.server.web.description import STYLE_SOURCE, Json, Page
from cdp_bridge.server.web.endpoint import Core
from cdp_bridge.server.web.idempotency import Idempotency
from cdp_bridge.server.web.metrics import Metrics, metrics
from cdp_bridge.server.web.paging import LogPage, PageTokens
from cdp_bridge.server.web.strict import Strict
from cdp_bridge.store import Store

MAX_BODY_BYTES = 4_000_000
READS_AN_HOUR = 600.0
"""How often a key may read what is about single people."""
COUNTS_AN_HOUR = 30.0
"""How often a key without the right to see hashes may let people be counted by the rules of a mapping."""
_RESOURCES = (
    connectors.Connectors,
    accounts.Connections,
    accounts.Destinations,
    segments.Segments,
    audiences.Audiences,
    conversions.Conversions,
    mappings.Mappings,
    runs.Runs,
    dead_letters.DeadLetters,
    suppressions.Suppressions,
    audit.AuditLog,
    api_keys.ApiKeys,
)
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": f"default-src 'none'; style-src {STYLE_SOURCE}; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def application(
    store: Store,
    registry: Registry,
    *,
    connector_calls: ConnectorCalls | None = None,
    public_url: str = "",
    allowed: tuple[str, ...] = (),
    allowed_hosts: tuple[str, ...] = (),
) -> Litestar:
    """The API over a store.

    Without `connector_calls`, connectors run in this process; without a `public_url`, no account can be connected by
    OAuth. `allowed` is what of this machine an API key may name in settings, `allowed_hosts` the hosts besides
    those of the vendors.
    """
    people = sign_ins(store, registry)
    connector_calls = connector_calls or ConnectorCalls(registry, resolver(store, registry))
    core = Core(
        store,
        registry,
        PageTokens(store),
        people,
        connector_calls,
        public_url.rstrip("/"),
        allowed,
        allowed_hosts,
        *_rates(),
    )
    collected = Metrics(store)
    resources = Router("/v1", route_handlers=_RESOURCES)
    return Litestar(
        [resources, *pages(store), metrics(collected)],
        dependencies={
            "core": Provide(lambda: core, sync_to_thread=False),
            "caller": Provide(_caller, sync_to_thread=False),
            "of": Provide(audiences.SyncFilter, sync_to_thread=False),
            "log_page": Provide(LogPage, sync_to_thread=False),
        },
        middleware=[collected, Access(store), Strict(), Idempotency(store)],
        exception_handlers=problems.HANDLERS,
        before_send=[_add_headers, collected.count],
        openapi_config=_openapi(),
        request_max_body_size=MAX_BODY_BYTES,
        logging_config=None,
    )


def _rates() -> tuple[Rates, Rates]:
    return Rates(READS_AN_HOUR / 3_600, READS_AN_HOUR), Rates(COUNTS_AN_HOUR / 3_600, COUNTS_AN_HOUR)


def _caller(request: Request[ApiKey, str, Any]) -> ApiKey:
    return request.user


async def _add_headers(message: Message, scope: Scope) -> None:
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="CDP Bridge",
        version="1",
        description="Keeps the audiences of ad platforms in sync with the segments of customer data platforms.",
        path="/docs",
        render_plugins=[Page(), Json()],
        use_handler_docstrings=True,
        security=[{"key": []}],
        components=Components(security_schemes={"key": SecurityScheme(type="http", scheme="bearer")}),
    )
