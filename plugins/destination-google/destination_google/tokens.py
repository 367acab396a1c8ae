"""Access tokens, got as the credentials say: given, by refresh token, or by a service account's key (google.md 3)."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from cdp_bridge.sdk import Client, ConfigError, Secret, TransientError

from destination_google.settings import AccessToken, RefreshToken, ServiceAccount, Settings

if TYPE_CHECKING:
    import requests

SCOPES = {
    "data-manager": "https://www.googleapis.com/auth/datamanager",
    "google-ads": "https://www.googleapis.com/auth/datamanager https://www.googleapis.com/auth/adwords",
}
AUDIENCE = "https://oauth2.googleapis.com/token"
"""Whom a service account's assertion is for, wherever it is sent (google.md 3.3)."""
LIFE = 3_600
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"

REFUSALS = {
    "invalid_grant": "Connect the account again: the refresh token or the key is no good any more",
    "invalid_client": "Check client_id and client_secret in the Google Cloud console",
    "unauthorized_client": "Check in the Google Cloud console what the client may do",
    "invalid_scope": "Connect the account again and agree to all that is asked for",
}
"""What Google's OAuth server says no with, and what to do (google.md 3.2)."""


class _Key(msgspec.Struct):
    """What of a key file is needed."""

    client_email: str
    private_key: str
    private_key_id: str = ""


class _Answer(msgspec.Struct):
    access_token: str


class Tokens:
    """The access token in use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._token: Secret | None = None

    def current(self) -> Secret:
        """The token, got when it is needed first.

        Raises ConfigError when Google gives none, TransientError when it cannot be reached.
        """
        if self._token is None:
            self._token = self._new()
        return self._token

    def renew(self) -> bool:
        """Forget the token, since Google takes it no more; False when there is no way to another."""
        self._token = None
        return not isinstance(self._settings.credentials, AccessToken)

    def _new(self) -> Secret:
        match self._settings.credentials:
            case AccessToken(access_token=token):
                return token
            case RefreshToken(refresh_token=token, client_id=client, client_secret=secret):
                given = {"refresh_token": token.reveal(), "client_id": client, "client_secret": secret.reveal()}
                return self._ask({"grant_type": "refresh_token"} | given)
            case ServiceAccount(key=key):
                signed = assertion(key, SCOPES[self._settings.api], time.time())
                return self._ask({"grant_type": JWT_BEARER, "assertion": signed.reveal()})

    def _ask(self, form: dict[str, str]) -> Secret:
        url = urlsplit(self._settings.token_url)
        with Client(f"{url.scheme}://{url.netloc}", interpret=_refusal) as client:
            answer = client.call("POST", url.path, data=form)
        try:
            return Secret(msgspec.convert(answer, _Answer).access_token)
        except msgspec.ValidationError:
            raise TransientError(f"{url.hostname} answered without a token") from None


def assertion(key: Secret, scope: str, now: float) -> Secret:
    """What a service account signs to get a token: a JWT (RFC 7523); ConfigError if the key is none."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        found = msgspec.json.decode(key.reveal(), type=_Key)
        private = load_pem_private_key(found.private_key.encode(), None)
    except (msgspec.DecodeError, ValueError, TypeError):
        private = None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise ConfigError(
            "it is no key of a service account",
            place="credentials.key",
            remedy="Put the whole JSON key file there, or name it: file:PATH",
        )
    header = {"alg": "RS256", "typ": "JWT", "kid": found.private_key_id}
    claims = {"iss": found.client_email, "scope": scope, "aud": AUDIENCE, "iat": int(now), "exp": int(now) + LIFE}
    text = f"{_base64(msgspec.json.encode(header))}.{_base64(msgspec.json.encode(claims))}"
    signature = private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return Secret(f"{text}.{_base64(signature)}")


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _refusal(response: requests.Response) -> Any:
    if response.status_code not in (400, 401, 403):
        return Client.by_status(response)
    try:
        error = msgspec.json.decode(response.content).get("error")
    except (msgspec.DecodeError, AttributeError):
        error = None
    # Only words that we know go on: others may quote what was sent.
    why = error if isinstance(error, str) and error in REFUSALS else f"status {response.status_code}"
    remedy = REFUSALS.get(why, "Check the credentials")
    return ConfigError(
        f"Google gives no access token ({why})", place=urlsplit(response.url).hostname or "", remedy=remedy
    )
