"""The OAuth server of the Segment twin: RS256 client assertions in, bearer tokens out (segment.md section 4.2)."""

import secrets
from email.utils import format_datetime
from typing import Any

import jwt
from aiohttp import web

from sandbox.segment.refusals import RefusalError, oauth
from sandbox.segment.twin import TWIN, OAuthApp, Twin

AUTH_SERVERS = {"us": "https://oauth2.segment.io", "eu": "https://oauth2.eu1.segmentapis.com"}
SCOPES = frozenset({"tracking_api:write", "functions:write", "public_api:read_write"})
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_MAX_LIFETIME = 60
_UNCHECKED = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False}


def install(app: web.Application) -> None:
    """Add `POST /token`."""
    app.router.add_post("/token", _token)


def is_valid(twin: Twin, token: str) -> bool:
    """Whether the twin gave out this token in the region it serves now, and it has not run out."""
    region, expires = twin.tokens.get(token, ("", 0.0))
    return region == twin.config.region and twin.clock.seconds() < expires


async def _token(request: web.Request) -> web.Response:
    """A token or a refusal, both with the twin's own time in `Date`: clients take it to correct their clock skew."""
    twin = request.app[TWIN]
    date = {"Date": format_datetime(twin.clock.now(), usegmt=True)}
    try:
        return web.json_response(await _granted(twin, request), headers=date)
    except RefusalError as refusal:
        refusal.headers |= date
        raise


async def _granted(twin: Twin, request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/x-www-form-urlencoded":
        raise oauth(415, "invalid_request", "The content type must be application/x-www-form-urlencoded")
    form = {name: str(value) for name, value in (await request.post()).items()}
    own = f"{request.scheme}://{request.host}"
    _check_form(form)
    try:
        _check_assertion(twin, form["client_assertion"], {own, AUTH_SERVERS[twin.config.region]})
    except jwt.InvalidTokenError as error:
        raise oauth(401, "invalid_client", "The client assertion is not valid") from error
    token, life = secrets.token_urlsafe(24), twin.config.token_seconds
    twin.tokens[token] = (twin.config.region, twin.clock.seconds() + life)
    return {"access_token": token, "token_type": "Bearer", "expires_in": life, "scope": form["scope"]}


def _check_form(form: dict[str, str]) -> None:
    if form.get("grant_type") != "client_credentials":
        raise oauth(400, "unsupported_grant_type", "The grant type must be client_credentials")
    if form.get("client_assertion_type") != _ASSERTION_TYPE or not form.get("client_assertion"):
        raise oauth(400, "invalid_request", "A client assertion of type jwt-bearer is required")
    if not form.get("scope") or not SCOPES.issuperset(form["scope"].split()):
        raise oauth(400, "invalid_scope", "The scope is unknown")


def _check_assertion(twin: Twin, assertion: str, audiences: set[str]) -> None:
    """Raises for any claim the contract names (row 34); a used `jti` is remembered."""
    header = jwt.get_unverified_header(assertion)
    app = _app_with_key(twin, header)
    claims = jwt.decode(assertion, app.public_key, algorithms=["RS256"], options=_UNCHECKED)  # type: ignore[arg-type]
    expires, issued, now = claims.get("exp"), claims.get("iat"), twin.clock.seconds()
    if not isinstance(expires, int | float) or not isinstance(issued, int | float):
        raise oauth(400, "invalid_request", "The claims exp and iat are required")
    if expires <= now:
        raise oauth(400, "invalid_request", "Token is expired")
    if issued > now + 1:
        raise oauth(400, "invalid_request", "Token used before issued")
    if claims.get("sub") != app.client_id or str(claims.get("aud", "")).rstrip("/") not in audiences:
        raise oauth(401, "invalid_client", "The subject or audience is not valid")
    if claims.get("iss") not in {None, app.client_id, *audiences} or expires > now + _MAX_LIFETIME:
        raise oauth(401, "invalid_client", "The issuer or life time is not valid")
    _use(twin, str(claims.get("jti", "")))


def _use(twin: Twin, identifier: str) -> None:
    if not identifier or identifier in twin.used_assertions:
        raise oauth(401, "invalid_client", "The assertion id is missing or was used before")
    twin.used_assertions.add(identifier)


def _app_with_key(twin: Twin, header: dict[str, Any]) -> OAuthApp:
    app = twin.oauth_apps.get(str(header.get("kid")))
    if app is None or header.get("alg") != "RS256":
        raise oauth(401, "invalid_client", "The key id is unknown or the algorithm is not RS256")
    return app
