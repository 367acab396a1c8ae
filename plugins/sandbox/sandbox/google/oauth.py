"""OAuth: the sign-in page, the token endpoint with its three grants, revocation, and tokens (google.md 3)."""

import base64
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import jwt

from sandbox.google.config import RefreshToken, Token
from sandbox.google.errors import lacks_scope, unauthenticated
from sandbox.google.state import Twin

CONSENT = "/o/oauth2/v2/auth"
TOKEN_PATHS = ("/token", "/oauth2/v3/token", "/oauth2/v4/token", "/o/oauth2/token")
REVOKE = "/revoke"
AUDIENCE = "https://oauth2.googleapis.com/token"
LIFE = 3_599
CODE_LIFE = 600
TEST_LIFE = 7 * 86_400
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"

Form = dict[str, str]


class OAuthError(Exception):
    """A refusal of the OAuth server: HTTP status, `error` and `error_description`."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error, self.description, self.status = error, description, status

    def body(self) -> dict[str, str]:
        """The JSON body."""
        return {"error": self.error, "error_description": self.description}


@dataclass(frozen=True)
class Code:
    """What an authorization code was given for."""

    client_id: str
    redirect_uri: str
    scopes: list[str]
    offline: bool
    issued: float
    challenge: str
    method: str


def consent(twin: Twin, query: Form) -> str:
    """`GET /o/oauth2/v2/auth`: the person says yes, save to scopes they untick; where the browser goes.

    Raises OAuthError when the client, the redirect or the kind of answer is wrong: those are shown, not redirected.
    """
    redirect, scopes = query.get("redirect_uri"), query.get("scope", "").split()
    if query.get("client_id") not in twin.config.clients:
        raise OAuthError("invalid_client", "The OAuth client was not found.", 401)
    if not redirect or query.get("response_type") != "code" or not scopes:
        raise OAuthError("invalid_request", "redirect_uri, response_type=code and scope are required.")
    granted = [scope for scope in scopes if scope not in twin.config.declined_scopes]
    answer = {"error": "access_denied"}
    if granted:
        code = "4/0A" + secrets.token_urlsafe(24)
        offline = query.get("access_type") == "offline" and "consent" in query.get("prompt", "").split()
        challenge, method = query.get("code_challenge", ""), query.get("code_challenge_method", "plain")
        now = twin.clock.now()
        twin.codes[code] = Code(query["client_id"], redirect, granted, offline, now, challenge, method)
        answer = {"code": code, "scope": " ".join(granted)}
    if "state" in query:
        answer["state"] = query["state"]
    return f"{redirect}{'&' if '?' in redirect else '?'}{urlencode(answer)}"


def token(twin: Twin, form: Form, url: str) -> dict[str, Any]:
    """`POST /token`. Raises OAuthError."""
    grant = _GRANTS.get(form.get("grant_type", ""))
    if grant is None:
        raise OAuthError("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')[:60]}")
    return grant(twin, form, url)


def revoke(twin: Twin, form: Form) -> dict[str, Any]:
    """`POST /revoke`: ends a refresh token with the access tokens of its user, or one access token."""
    text = form.get("token", "")
    refresh, access = twin.config.refresh_tokens.get(text), twin.config.tokens.get(text)
    if refresh is not None and not refresh.revoked:
        refresh.revoked = True
        for each in twin.config.tokens.values():
            each.calls_left = 0 if each.user == refresh.user else each.calls_left
    elif access is not None and access.calls_left != 0:
        access.calls_left = 0
    else:
        raise OAuthError("invalid_token", "Token expired or revoked")
    return {}


def authenticate(twin: Twin, authorization: str, service: str, scope: str) -> Token:
    """The token of a call. Raises ApiError 401, and 403 when it lacks the scope."""
    kind, _, text = authorization.partition(" ")
    found = twin.config.tokens.get(text.strip()) if kind.lower() == "bearer" else None
    if found is None or found.calls_left == 0 or 0 < found.expires_at <= twin.clock.now():
        raise unauthenticated()
    if found.calls_left is not None:
        found.calls_left -= 1
    if scope not in found.scopes:
        raise lacks_scope(service)
    return found


def _by_code(twin: Twin, form: Form, _: str) -> dict[str, Any]:
    _check_client(twin, form)
    code: Code | None = twin.codes.pop(form.get("code", ""), None)
    if code is None or twin.clock.now() >= code.issued + CODE_LIFE or code.client_id != form["client_id"]:
        raise OAuthError("invalid_grant", "Malformed auth code.")
    if code.redirect_uri != form.get("redirect_uri"):
        raise OAuthError("redirect_uri_mismatch", "Bad Request")
    if code.challenge and _challenge(form.get("code_verifier", ""), code.method) != code.challenge:
        raise OAuthError("invalid_grant", "Missing or invalid code verifier.")
    answer = _issue(twin, twin.config.user, code.scopes)
    if code.offline:
        text = "1//0g" + secrets.token_urlsafe(24)
        ends = twin.clock.now() + TEST_LIFE if twin.config.testing else 0
        twin.config.refresh_tokens[text] = RefreshToken(twin.config.user, code.client_id, code.scopes, ends)
        answer["refresh_token"] = text
    return answer


def _challenge(verifier: str, method: str) -> str:
    if method == "plain":
        return verifier
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _by_refresh_token(twin: Twin, form: Form, _: str) -> dict[str, Any]:
    _check_client(twin, form)
    found = twin.config.refresh_tokens.get(form.get("refresh_token", ""))
    ended = found is not None and (found.revoked or 0 < found.expires_at <= twin.clock.now())
    if found is None or ended or found.client_id != form["client_id"]:
        raise OAuthError("invalid_grant", "Token has been expired or revoked.")
    wanted = form.get("scope", "").split() or found.scopes
    if not set(wanted) <= set(found.scopes):
        raise OAuthError("invalid_scope", "Some requested scopes were not granted.")
    return _issue(twin, found.user, wanted)


def _by_assertion(twin: Twin, form: Form, url: str) -> dict[str, Any]:
    """A service account's JWT; it is dated by its client's clock, which no test moves, so that one judges it."""
    try:
        text = form.get("assertion", "")
        email = str(jwt.decode(text, options={"verify_signature": False}).get("iss"))
        key = twin.config.service_accounts.get(email)
        if key is None:
            raise OAuthError("invalid_grant", "Invalid grant: account not found")
        needed = {"require": ["iss", "aud", "iat", "exp"]}
        claims = jwt.decode(text, key, algorithms=["RS256"], audience=[AUDIENCE, url], options=needed)  # type: ignore[arg-type]
    except jwt.InvalidTokenError:
        raise OAuthError("invalid_grant", "Invalid JWT Signature.") from None
    if claims["exp"] - claims["iat"] > LIFE + 1:
        raise OAuthError("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes).")
    scopes = str(claims.get("scope", "")).split()
    if not scopes:
        raise OAuthError("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
    answer = _issue(twin, email, scopes)
    return {name: answer[name] for name in ("access_token", "expires_in", "token_type")}


_GRANTS: dict[str, Callable[[Twin, Form, str], dict[str, Any]]] = {
    "authorization_code": _by_code,
    "refresh_token": _by_refresh_token,
    JWT_BEARER: _by_assertion,
}


def _check_client(twin: Twin, form: Form) -> None:
    secret = twin.config.clients.get(form.get("client_id", ""))
    if secret is None:
        raise OAuthError("invalid_client", "The OAuth client was not found.", 401)
    if not secrets.compare_digest(secret.encode(), form.get("client_secret", "").encode()):
        raise OAuthError("invalid_client", "Unauthorized", 401)


def _issue(twin: Twin, user: str, scopes: list[str]) -> dict[str, Any]:
    text = "ya29.sandbox" + secrets.token_urlsafe(24)
    twin.config.tokens[text] = Token(user, scopes, twin.clock.now() + LIFE)
    return {"access_token": text, "expires_in": LIFE, "scope": " ".join(scopes), "token_type": "Bearer"}
