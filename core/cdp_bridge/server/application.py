"""The API as one ASGI application."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from litestar import Litestar, Request, Router
from litestar.connection import ASGIConnection
from litestar.datastructures import MutableScopeHeaders
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from cdp_bridge.connectors.credentials import grants, resolver
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import ApiKey
from cdp_bridge.server.api import (
    accounts,
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
from cdp_bridge.server.api.health import Condition, health
from cdp_bridge.server.api.metrics import Metrics, metrics
from cdp_bridge.server.api.sign_in import callback
from cdp_bridge.server.web import problems
from cdp_bridge.server.web.access import Access
from cdp_bridge.server.web.connector_calls import ConnectorCalls
from cdp_bridge.server.web.description import STYLE_SOURCE, Page
from cdp_bridge.server.web.endpoint import Core
from cdp_bridge.server.web.idempotency import Idempotency
from cdp_bridge.server.web.paging import Cursors
from cdp_bridge.store import Store

LARGEST_BODY = 4_000_000
"""Bytes."""
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
    parts: Mapping[str, Condition] | None = None,
    *,
    asking: ConnectorCalls | None = None,
    public_url: str = "",
) -> Litestar:
    """The API over a store; `parts` are what else this process runs, for /readyz.

    Connectors are asked by `asking`; None: in this process. Nobody can connect an account by signing in without a
    `public_url`.
    """
    granted = grants(store, registry)
    asking = asking or ConnectorCalls(registry, resolver(store, registry))
    core = Core(store, registry, Cursors(store), granted, asking, public_url.rstrip("/"))
    collected = Metrics(store)
    resources = Router(
        "/v1",
        route_handlers=[
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
        ],
    )
    return Litestar(
        [resources, callback(), *health(store, parts or {}), metrics(collected)],
        dependencies={
            "core": Provide(lambda: core, sync_to_thread=False),
            "caller": Provide(_caller, sync_to_thread=False),
        },
        middleware=[collected, Access(store), _Strict(), Idempotency(store)],
        exception_handlers=problems.HANDLERS,
        before_send=[_add_headers, collected.count],
        openapi_config=_openapi(),
        request_max_body_size=LARGEST_BODY,
        logging_config=None,
    )


def _caller(request: Request[ApiKey, str, Any]) -> ApiKey:
    return request.user


async def _add_headers(message: Message, scope: Scope) -> None:
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)


class _Strict(ASGIMiddleware):
    """Takes bodies only as what they are said to be."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Refuse a body that is not JSON."""
        headers = ASGIConnection[Any, Any, Any, Any](scope).headers
        kind, _, rest = headers.get("content-type", "").partition(";")
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        charset = rest.strip().lower().removeprefix("charset=").strip('"')
        if has_body and (kind.strip().lower() != "application/json" or charset not in ("", "utf-8")):
            raise problems.problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "the body is not said to be JSON",
                place="header Content-Type",
                remedy="Send JSON in UTF-8 as application/json",
            )
        await next_app(scope, receive, send)


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="CDP Bridge",
        version="1",
        description="Keeps the segments of customer data platforms and the audiences of ad platforms equal.",
        path="/docs",
        render_plugins=[Page(), JsonRenderPlugin()],
        use_handler_docstrings=True,
        security=[{"key": []}],
        components=Components(security_schemes={"key": SecurityScheme(type="http", scheme="bearer")}),
    )
