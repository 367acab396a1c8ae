"""Calls a platform's token endpoint: exchanges a code or an earlier token for new tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import requests
from msgspec import Struct

from cdp_bridge.errors import ConfigError, TransientError, TypedError
from cdp_bridge.http.client import Client
from cdp_bridge.secrets import Secret

# RFC 6749, section 5.2; other texts of the platform might quote the request.
_CODES = (
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
)
_MAX_LIFETIME = 10 * 366 * 86_400.0
"""Seconds; a longer lifetime counts as no expiry."""


class App(Struct, frozen=True, kw_only=True):
    """The bridge as an app of the platform; `client_secret` is a secret or a reference to one."""

    token_url: str
    client_id: str
    client_secret: str
    exchange: str = ""
    names: Mapping[str, str] = {}

    def called(self, parameter: str) -> str:
        """The platform's name of a parameter."""
        return self.names.get(parameter, parameter)


class Grant(Struct, frozen=True, kw_only=True):
    """The tokens that a person has granted.

    Times are seconds since 1970: `renew_at` is half the life of the access token, None if it does not expire.
    """

    app: App
    access_token: str
    refresh_token: str = ""
    renew_at: float | None = None
    expires_at: float | None = None


class _Answer(Struct, frozen=True):
    access_token: str
    expires_in: float | None = None
    refresh_token: str = ""


class _Envelope(Struct, frozen=True):
    """The envelope of the answer of a platform that does not follow RFC 6749."""

    code: int
    data: Any = None


def sealed(value: Struct) -> Secret:
    """A grant, or a sign-in on its way to one, as the store keeps it."""
    return Secret(msgspec.json.encode(value).decode())


def by_code(app: App, secret: Secret, code: str, verifier: str, redirect_uri: str, now: float) -> Grant:
    """The grant for a code; ConfigError if the platform refuses, TransientError if it cannot be reached."""
    given = {app.called("code"): code}
    if not app.names:
        given |= {"grant_type": "authorization_code", "redirect_uri": redirect_uri, "code_verifier": verifier}
    grant = _grant(app, _ask(app, secret, given), "", now)
    return renewed(grant, secret, now) if app.exchange else grant


def renewed(grant: Grant, secret: Secret, now: float) -> Grant:
    """The grant with new tokens; errors as of `by_code`. The old ones may be invalid then."""
    app = grant.app
    if app.exchange:
        given = {"grant_type": app.exchange, app.exchange: grant.access_token}
    else:
        given = {"grant_type": "refresh_token", "refresh_token": grant.refresh_token}
    return _grant(app, _ask(app, secret, given), grant.refresh_token, now)


def _grant(app: App, answer: _Answer, refresh_token: str, now: float) -> Grant:
    life = answer.expires_in or 0.0
    ends = 0 < life <= _MAX_LIFETIME
    return Grant(
        app=app,
        access_token=Secret(answer.access_token).reveal(),
        # A platform that does not rotate refresh tokens sends none again.
        refresh_token=Secret(answer.refresh_token or refresh_token).reveal(),
        renew_at=now + life / 2 if ends else None,
        expires_at=now + life if ends else None,
    )


def _ask(app: App, secret: Secret, parameters: dict[str, str]) -> _Answer:
    url = urlsplit(app.token_url)
    # In the body, since URLs end up in logs.
    fields = {**parameters, app.called("client_id"): app.client_id, app.called("client_secret"): secret.reveal()}
    body = {"json": fields} if app.names else {"data": fields}
    with Client(f"{url.scheme}://{url.netloc}", interpret=_refusal) as client:
        answer = client.call("POST", url.path + (f"?{url.query}" if url.query else ""), **body)
    try:
        if app.names:
            envelope = msgspec.convert(answer, _Envelope)
            if envelope.code:
                raise _refused(f"error {envelope.code}", url.hostname or "")
            answer = envelope.data
        tokens = msgspec.convert(answer, _Answer, strict=False)
    except msgspec.ValidationError:
        raise TransientError(f"{url.hostname} answered without a token") from None
    if not tokens.access_token:
        raise TransientError(f"{url.hostname} answered without a token")
    return tokens


def _refusal(response: requests.Response) -> TypedError | None:
    if response.status_code not in (400, 401, 403):
        return Client.by_status(response)
    return _refused(_code(response), urlsplit(response.url).hostname or "")


def _refused(why: str, host: str) -> ConfigError:
    return ConfigError(
        f"the platform gives no token ({why})",
        place=host,
        remedy="Check id and secret of the app, then connect the account again",
    )


def _code(response: requests.Response) -> str:
    try:
        body: Any = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        body = None
    error = body.get("error") if isinstance(body, dict) else None
    number = error.get("code") if isinstance(error, dict) else None
    if isinstance(number, int):
        return f"error {number}"
    return error if error in _CODES else f"status {response.status_code}"
