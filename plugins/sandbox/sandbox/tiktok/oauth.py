"""Authenticates callers: tokens, scopes, and the OAuth endpoints (contract 1.1)."""

import secrets
from typing import Any
from urllib.parse import urlencode

import msgspec

from sandbox.tiktok.calls import NO_TOKEN, Call
from sandbox.tiktok.config import Token
from sandbox.tiktok.errors import ApiError, missing
from sandbox.tiktok.state import Twin

CODE_LIFE = 3_600.0


class _Application(msgspec.Struct):
    app_id: str
    secret: str


class _Exchange(_Application):
    auth_code: str


class _Revocation(_Application):
    access_token: str


def authenticate(twin: Twin, call: Call) -> Token:
    """The token of a call. Raises ApiError 40104 (none), 40105 (unknown, revoked), 40102 (expired)."""
    if call.token is None:
        raise ApiError(40104, NO_TOKEN)
    token = twin.config.tokens.get(call.token)
    if token is None or token.calls_left == 0:
        raise ApiError(40105, "Access token is incorrect or has been revoked.")
    if token.expires_at and token.expires_at <= twin.clock.now():
        raise ApiError(40102, "Access token is expired.")
    if token.calls_left is not None:
        token.calls_left -= 1
    return token


def require(token: Token, scopes: tuple[int, ...]) -> None:
    """Raises ApiError 40130 when the token has none of the scopes."""
    if not set(scopes) & set(token.scopes):
        raise ApiError(40130, "The access token does not have the required scope.")


def consent(twin: Twin, query: dict[str, str]) -> str:
    """`GET /portal/auth`: the advertiser says yes to everything; where the browser goes, with code and state."""
    redirect = query.get("redirect_uri")
    if query.get("app_id") != twin.config.app.id:
        raise ApiError(40101, "The app_id is incorrect.")
    if not redirect:
        raise missing("redirect_uri")
    code = secrets.token_hex(20)
    twin.codes[code] = twin.clock.now(), Token().scopes
    answer = urlencode({"auth_code": code, "code": code, "state": query.get("state", "")})
    return f"{redirect}{'&' if '?' in redirect else '?'}{answer}"


def access_token(twin: Twin, call: Call) -> dict[str, Any]:
    """`POST oauth2/access_token/`: a code, good once and for an hour, becomes a token that does not expire."""
    wanted = call.read(_Exchange)
    _check_app(twin, wanted)
    issued, scopes = twin.codes.pop(wanted.auth_code, (float("-inf"), []))
    if twin.clock.now() >= issued + CODE_LIFE:
        raise ApiError(40110, "The auth_code is invalid, used or expired.")
    text = secrets.token_hex(20)
    twin.config.tokens[text] = Token(scopes=scopes)
    return {"access_token": text, "advertiser_ids": list(twin.config.advertisers), "scope": scopes}


def advertisers(twin: Twin, call: Call) -> dict[str, Any]:
    """`GET oauth2/advertiser/get/`: the advertisers that the token reaches."""
    _check_app(twin, call.read(_Application))
    token = authenticate(twin, call)
    reached = twin.config.advertisers if token.advertisers is None else token.advertisers
    known = {name: twin.config.advertisers[name] for name in reached if name in twin.config.advertisers}
    return {"list": [{"advertiser_id": name, "advertiser_name": one.name} for name, one in known.items()]}


def revoke(twin: Twin, call: Call) -> dict[str, Any]:
    """`POST oauth2/revoke_token/`."""
    wanted = call.read(_Revocation)
    _check_app(twin, wanted)
    token = twin.config.tokens.get(wanted.access_token)
    if token is None:
        raise ApiError(40105, "Access token is incorrect or has been revoked.")
    token.calls_left = 0
    return {}


def _check_app(twin: Twin, wanted: _Application) -> None:
    app = twin.config.app
    if (wanted.app_id, wanted.secret) != (app.id, app.secret):
        raise ApiError(40101, "The app_id or secret is incorrect.")
