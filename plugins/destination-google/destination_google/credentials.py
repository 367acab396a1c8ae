"""Gets access tokens with a refresh token, or with the key of a service account (google.md 3)."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode

import msgspec
from cdp_bridge.sdk import ConfigError, Secret, Token

from destination_google.settings import RefreshToken, ServiceAccount, Settings

SCOPES = {
    "data-manager": "https://www.googleapis.com/auth/datamanager",
    "google-ads": "https://www.googleapis.com/auth/datamanager https://www.googleapis.com/auth/adwords",
}
AUDIENCE = "https://oauth2.googleapis.com/token"
"""Whom a service account's assertion is for, wherever it is sent (google.md 3.3)."""
LIFE = 3_600
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class _Key(msgspec.Struct):
    """What of a key file is needed."""

    client_email: str
    private_key: str
    private_key_id: str = ""


def fetch_token(credentials: RefreshToken | ServiceAccount, settings: Settings) -> Token:
    """A new token for these credentials.

    Raises ConfigError when Google gives none, TransientError when it cannot be reached.
    """
    match credentials:
        case RefreshToken(refresh_token=token, client_id=client, client_secret=secret):
            given = {"refresh_token": token.reveal(), "client_id": client, "client_secret": secret.reveal()}
            return Token.fetch(settings.token_url, {"grant_type": "refresh_token"} | given)
        case ServiceAccount(key=key):
            signed = assertion(key, SCOPES[settings.api], time.time())
            return Token.fetch(settings.token_url, {"grant_type": JWT_BEARER, "assertion": signed.reveal()})


def assertion(key: Secret, scope: str, now: float) -> Secret:
    """What a service account signs to get a token: a JWT (RFC 7523); ConfigError if the key is none."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        parsed = msgspec.json.decode(key.reveal(), type=_Key)
        private = load_pem_private_key(parsed.private_key.encode(), None)
    except (msgspec.DecodeError, ValueError, TypeError):
        private = None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise ConfigError(
            "it is no key of a service account",
            place="credentials.key",
            remedy="Put the whole JSON key file there, or name it: file:PATH",
        )
    header = {"alg": "RS256", "typ": "JWT", "kid": parsed.private_key_id}
    claims = {"iss": parsed.client_email, "scope": scope, "aud": AUDIENCE, "iat": int(now), "exp": int(now) + LIFE}
    text = f"{_base64(msgspec.json.encode(header))}.{_base64(msgspec.json.encode(claims))}"
    signature = private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return Secret(f"{text}.{_base64(signature)}")


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
