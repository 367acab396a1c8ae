"""Authenticates callers: tokens, proofs, scopes and the OAuth endpoints (contract 1.1)."""

import hashlib
import hmac
import secrets
from typing import Any

from sandbox.meta.calls import Call
from sandbox.meta.config import App, Token
from sandbox.meta.errors import GraphError, invalid
from sandbox.meta.state import Twin

LONG_LIFE = 60 * 24 * 3600
SHORT_LIFE = 3600


def proof(secret: str, token: str, time: str | None = None) -> str:
    """`appsecret_proof`: HMAC-SHA256 of the token, or of `token|time` in the timed form, keyed with the app secret."""
    message = token if time is None else f"{token}|{time}"
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


def authenticate(twin: Twin, call: Call) -> Token:
    """The token of a call. Raises GraphError 104 (none), 190 (unknown, revoked, expired) and 100 (proof)."""
    text = call.text("access_token")
    if text is None:
        raise GraphError(104, "An access token is required to request this resource.")
    token = twin.config.tokens.get(text)
    if token is None:
        raise GraphError(190, "Invalid OAuth access token.", subcode=467)
    if token.calls_left == 0:
        raise GraphError(190, "Error validating access token: The user has not authorized application.", subcode=458)
    if token.expires_at and token.expires_at <= twin.clock.now():
        raise GraphError(190, "Error validating access token: Session has expired.", subcode=463)
    _check_proof(twin.config.app, call, text)
    if token.calls_left is not None:
        token.calls_left -= 1
    return token


def _check_proof(app: App, call: Call, token: str) -> None:
    sent = call.text("appsecret_proof")
    expected = proof(app.secret, token, call.text("appsecret_time"))
    if sent is None and app.demand_proof:
        raise GraphError(100, "API calls from the server require an appsecret_proof argument")
    if sent is not None and not hmac.compare_digest(sent.encode(), expected.encode()):
        raise GraphError(100, "Invalid appsecret_proof provided in the API argument")


def require(token: Token, scopes: tuple[str, ...]) -> None:
    """Raises GraphError 200 with HTTP 403 when the token has none of the scopes."""
    if not set(scopes) & set(token.scopes):
        wanted = " or ".join(scopes)
        raise GraphError(200, f"(#200) The current user can not update audience: {wanted} is required.", status=403)


def debug_token(twin: Twin, call: Call) -> dict[str, Any]:
    """`GET /debug_token`: what an `input_token` is worth, asked with the app token or any live token."""
    if call.text("access_token") != _app_token(twin.config.app):
        authenticate(twin, call)
    token = twin.config.tokens.get(call.text("input_token") or "")
    if token is None:
        return {"data": {"is_valid": False, "scopes": [], "error": {"code": 190, "message": "Malformed access token"}}}
    expired = bool(token.expires_at) and token.expires_at <= twin.clock.now()
    about = {"app_id": twin.config.app.id, "type": "USER", "is_valid": not expired and token.calls_left != 0}
    return {"data": about | {"expires_at": token.expires_at, "scopes": token.scopes, "user_id": token.user_id}}


def access_token(twin: Twin, call: Call) -> dict[str, Any]:
    """`GET /oauth/access_token`: a code becomes a short token, a short token a long one of 60 days."""
    app = twin.config.app
    if call.text("client_id") != app.id or call.text("client_secret") != app.secret:
        raise GraphError(101, "Error validating application. Cannot get application info due to a system error.")
    grant = call.text("grant_type")
    if grant == "client_credentials":
        return {"access_token": _app_token(app), "token_type": "bearer"}
    if grant == "fb_exchange_token":
        old = twin.config.tokens.get(call.text("fb_exchange_token") or "")
        if old is None:
            raise GraphError(190, "Invalid OAuth access token.", subcode=467)
        return _issue(twin, old.scopes, LONG_LIFE)
    scopes = twin.codes.pop((call.text("code"), call.text("redirect_uri")), None)
    if scopes is None:
        raise invalid("This authorization code has been used or does not fit the redirect_uri.", 36009)
    return _issue(twin, scopes, SHORT_LIFE)


def consent(twin: Twin, call: Call) -> str:
    """`GET /dialog/oauth`: the person says yes at once; returns where the browser goes, with code and state."""
    redirect = call.text("redirect_uri")
    if call.text("client_id") != twin.config.app.id or redirect is None:
        raise invalid("Invalid client_id or redirect_uri")
    code = secrets.token_urlsafe(16)
    twin.codes[code, redirect] = (call.text("scope") or "ads_read").split(",")
    return f"{redirect}{'&' if '?' in redirect else '?'}code={code}&state={call.text('state') or ''}"


def _issue(twin: Twin, scopes: list[str], seconds: int) -> dict[str, Any]:
    text = "EAAsandbox" + secrets.token_hex(16)
    twin.config.tokens[text] = Token(scopes=scopes, expires_at=int(twin.clock.now()) + seconds)
    return {"access_token": text, "token_type": "bearer", "expires_in": seconds}


def _app_token(app: App) -> str:
    return f"{app.id}|{app.secret}"
