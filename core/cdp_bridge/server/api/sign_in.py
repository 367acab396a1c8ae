"""/oauth and the sign-in around it: a person connects an account by signing in at its platform."""

from __future__ import annotations

import hashlib
import html
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from litestar import MediaType, Request, Response, get
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.types import Guard
from msgspec import Meta, Struct

from cdp_bridge.entities import ApiKey, CDPConnection, DestinationAccount
from cdp_bridge.errors import BridgeError, ConfigError
from cdp_bridge.oauth import Account
from cdp_bridge.oauth.sign_ins import LIFE
from cdp_bridge.redact import redact
from cdp_bridge.server.web.access import STRANGERS_A_SECOND, STRANGERS_BURST, Rates, Refusals, count
from cdp_bridge.server.web.endpoint import Core, CoreGiven, PathText
from cdp_bridge.server.web.stored_secrets import described
from cdp_bridge.store import Store
from cdp_bridge.store.access.audit import AuditRecord

log = logging.getLogger(__name__)

START, CALLBACK = "/oauth/start", "/oauth/callback"


class SignIn(Struct, frozen=True):
    """Where a person's browser has to go, within ten minutes; the address is good once."""

    url: str


class Confirmation(Struct, frozen=True, forbid_unknown_fields=True):
    """The code that the browser shows after the sign-in."""

    code: Annotated[str, Meta(max_length=50)]


def begin(core: Core, caller: ApiKey, account: CDPConnection | DestinationAccount) -> SignIn:
    """Begin to connect an account; ConfigError if its connector or settings do not provide for a sign-in."""
    signing_in = _account(core, account)
    connector = signing_in.connector.name
    ticket = core.sign_ins.begin(signing_in, f"{core.public_url}{CALLBACK}/{connector}")
    core.audit(caller, "connect", signing_in.kind, account.name)
    return SignIn(f"{core.public_url}{START}/{connector}?ticket={ticket}")


def confirm(core: Core, caller: ApiKey, account: CDPConnection | DestinationAccount, code: str) -> None:
    """Let an account use what a person has granted by signing in; ConfigError for a wrong, used or old code."""
    signed_in = _account(core, account)
    try:
        core.sign_ins.confirm(signed_in, code)
    except ConfigError:
        core.audit(caller, "refuse", "sign-in", account.name)
        raise
    core.audit(caller, "confirm", signed_in.kind, account.name)


def pages(store: Store) -> list[HTTPRouteHandler]:
    """The addresses for browsers, which need no API key: a ticket or a state names the sign-in."""
    declared: dict[str, Any] = {
        "media_type": MediaType.HTML,
        "sync_to_thread": True,
        "include_in_schema": False,
        "guards": [_rate_limit()],
        "opt": {"open": True, "any_query": True},
    }
    refusals = Refusals(store, "sign-in")

    @get(f"{START}/{{connector:str}}", **declared)
    def start(core: CoreGiven, request: Request[Any, Any, Any], connector: PathText) -> Response[str]:
        """Send the browser to the platform, and remember it by a cookie."""
        try:
            redirect = core.sign_ins.open(connector, _query(request).get("ticket", ""))
        except BridgeError as error:
            return _not_connected(error, request, refusals)
        cookie = _cookie(core, redirect.state, redirect.browser)
        headers = {"Location": redirect.url}
        return Response("", status_code=HTTPStatus.SEE_OTHER, headers=headers, cookies=[cookie])

    @get(f"{CALLBACK}/{{connector:str}}", **declared)
    def callback(core: CoreGiven, request: Request[Any, Any, Any], connector: PathText) -> Response[str]:
        """Take the answer of the platform from the browser that was sent there."""
        try:
            answer = _query(request)
            state = answer.get("state", "")
            done = core.sign_ins.finish(connector, request.cookies.get(_cookie(core, state).key, ""), answer)
        except BridgeError as error:
            return _not_connected(error, request, refusals)
        store.audit.add(AuditRecord(who="a browser", action="sign in", kind=done.kind, name=done.name))
        text = (
            f"An administrator has to confirm it within ten minutes: POST /v1/{done.kind}s/{done.name}/connect/confirm "
            f"with the code {done.code}"
        )
        return _page("Signed in", text, HTTPStatus.OK, [_cookie(core, state)])

    return [start, callback]


def _account(core: Core, account: CDPConnection | DestinationAccount) -> Account:
    kind, connector, raw = described(account)
    return Account(connector=core.registry.connector(connector), kind=kind, name=account.name, settings=raw)


def _rate_limit() -> Guard:
    rates = Rates(STRANGERS_A_SECOND, STRANGERS_BURST)

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        count(rates, _address(connection))

    return guard


def _address(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    return connection.client.host if connection.client else ""


def _query(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The parameters of a request; ConfigError if one is there twice (RFC 6749, section 3.1)."""
    pairs = list(request.query_params.multi_items())
    query = dict(pairs)
    if len(query) < len(pairs):
        raise ConfigError("a parameter of the address is there twice", remedy="Begin again")
    return query


def _cookie(core: Core, state: str, browser: str = "") -> Cookie:
    """The cookie of one sign-in, so that two in one browser do not disturb each other; without `browser`, its end."""
    is_https = core.public_url.startswith("https:")
    name = f"sign-in-{hashlib.sha256(state.encode('utf-8', 'replace')).hexdigest()[:16]}"
    return Cookie(
        # A browser takes a cookie of that prefix from this host alone, and over HTTPS alone.
        key=f"__Host-{name}" if is_https else name,
        value=browser,
        max_age=int(LIFE.total_seconds()) if browser else 0,
        secure=is_https,
        httponly=True,
        samesite="lax",
    )


def _not_connected(error: BridgeError, request: Request[Any, Any, Any], refusals: Refusals) -> Response[str]:
    log.warning("a sign-in could not be finished: %s", error)
    if not isinstance(error, ConfigError):
        return _page("Not connected", redact(str(error)), HTTPStatus.BAD_GATEWAY)
    refusals.audit(_address(request))
    return _page("Not connected", redact(str(error)), HTTPStatus.BAD_REQUEST)


def _page(title: str, text: str, status: HTTPStatus, cookies: Sequence[Cookie] = ()) -> Response[str]:
    title, text = html.escape(title), html.escape(text)
    page = f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><h1>{title}</h1><p>{text}</p>"
    return Response(page, status_code=status, media_type=MediaType.HTML, cookies=list(cookies))
