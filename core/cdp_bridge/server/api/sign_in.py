"""/oauth/callback and the sign-in before it: a person connects an account by signing in at its platform."""

from __future__ import annotations

import html
import logging
from http import HTTPStatus
from typing import Any

from litestar import MediaType, Request, Response, get
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.types import Guard
from msgspec import Struct

from cdp_bridge.entities import ApiKey, CDPConnection, DestinationAccount
from cdp_bridge.errors import BridgeError, ConfigError
from cdp_bridge.redact import redact
from cdp_bridge.server.web.access import STRANGERS_A_SECOND, STRANGERS_BURST, Rates, count
from cdp_bridge.server.web.endpoint import Core, CoreGiven
from cdp_bridge.server.web.stored_secrets import described
from cdp_bridge.store.access.audit import AuditRecord

log = logging.getLogger(__name__)

PATH = "/oauth/callback"


class SignIn(Struct, frozen=True):
    """Where a person's browser has to go, within ten minutes."""

    url: str


def begin(core: Core, caller: ApiKey, account: CDPConnection | DestinationAccount) -> SignIn:
    """Begin to connect an account; ConfigError if its connector or settings do not provide for a sign-in."""
    kind, name, raw = described(account)
    connector = core.registry.connector(name)
    if connector.oauth is None:
        raise ConfigError(f"nobody can sign in for {name}", place="path", remedy="Set its credentials instead")
    begun = core.grants.begin(connector.oauth, connector.settings, raw, core.public_url + PATH)
    core.audit(caller, "connect", kind, account.name)
    return SignIn(begun.url)


def callback() -> HTTPRouteHandler:
    """The address to which platforms send browsers back; needs no API key, since the state names the sign-in."""

    @get(
        PATH,
        media_type=MediaType.HTML,
        sync_to_thread=True,
        include_in_schema=False,
        guards=[_rate_limit()],
        opt={"open": True, "any_query": True},
    )
    def connected(core: CoreGiven, request: Request[Any, Any, Any]) -> Response[str]:
        """Finish a sign-in that was begun."""
        try:
            name = core.grants.finish({key: request.query_params[key] for key in request.query_params})
            core.store.audit.add(AuditRecord(who="a browser", action="connected", kind="sign-in", name=name))
        except BridgeError as error:
            log.warning("a sign-in could not be finished: %s", error)
            status = HTTPStatus.BAD_REQUEST if isinstance(error, ConfigError) else HTTPStatus.BAD_GATEWAY
            return _page("Not connected", redact(str(error)), status)
        return _page("Connected", f"{name} is connected. You may close this page", HTTPStatus.OK)

    return connected


def _rate_limit() -> Guard:
    rates = Rates(STRANGERS_A_SECOND, STRANGERS_BURST)

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        count(rates, connection.client.host if connection.client else "")

    return guard


def _page(title: str, text: str, status: HTTPStatus) -> Response[str]:
    title, text = html.escape(title), html.escape(text)
    page = f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><h1>{title}</h1><p>{text}</p>"
    return Response(page, status_code=status, media_type=MediaType.HTML)
