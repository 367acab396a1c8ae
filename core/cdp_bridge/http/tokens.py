"""Gets access tokens from a token endpoint of OAuth 2.0 (RFC 6749)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from cdp_bridge.errors import ConfigError, Failure, TransientError
from cdp_bridge.http.client import Client
from cdp_bridge.secrets import Secret

if TYPE_CHECKING:
    import requests

REMEDIES = {
    "invalid_grant": "Connect the account again: the refresh token or the key is no good any more",
    "invalid_client": "Check client_id and client_secret",
    "unauthorized_client": "Check at the platform what the client may do",
    "access_denied": "Check client_id and client_secret, and what the client may do",
    "invalid_scope": "Connect the account again and agree to all that is asked for",
    "unsupported_grant_type": "Check the token URL",
}
"""The error codes of RFC 6749 (5.2) that a person can do something about."""


class Token(Struct, frozen=True, kw_only=True):
    """An access token, and how many seconds it lives from now (None: nobody said)."""

    value: Secret
    expires_in: float | None = None

    @staticmethod
    def fetch(url: str, fields: Mapping[str, str], *, as_json: bool = False) -> Token:
        """A token from the endpoint `url` for the `fields` of a grant, sent as a form or as JSON.

        Client credentials: `{"grant_type": "client_credentials", "client_id": ..., "client_secret": ...}`; a refresh
        token: `{"grant_type": "refresh_token", "refresh_token": ..., ...}`. Raises ConfigError where the credentials
        are refused, TransientError where the endpoint does not answer, or answers without a token.
        """
        parts = urlsplit(url)
        body = {"json": fields} if as_json else {"data": fields}
        with Client(f"{parts.scheme}://{parts.netloc}", interpret=_refusal) as client:
            answer = client.call("POST", parts.path, type=_Answer, **body)
        return Token(value=Secret(answer.access_token), expires_in=answer.expires_in)


class _Answer(Struct):
    access_token: str
    expires_in: float | None = None


class _Error(Struct):
    error: str


def _refusal(response: requests.Response) -> Failure | None:
    if response.status_code not in (400, 401, 403):
        return Client.by_status(response)
    try:
        code = Client.decode(response, type=_Error).error
    except TransientError:
        code = ""
    # Only words that we know go on: others may quote what was sent.
    reason = code if code in REMEDIES else f"status {response.status_code}"
    return ConfigError(
        f"no access token is given ({reason})",
        place=urlsplit(response.url).hostname or "",
        remedy=REMEDIES.get(code, "Check the credentials"),
    )
