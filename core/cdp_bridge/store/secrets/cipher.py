"""Encrypts secrets into envelopes that only the keyring opens, and only in their own place of the database.

An envelope is a version byte, the 8 bytes of the key's id, a nonce of 12 random bytes, and AES-256-GCM's ciphertext
with its tag. Version, key id and the place (table, row, field) are authenticated along, so that an envelope that was
moved or altered does not open.
"""

from __future__ import annotations

import json
import secrets

from cdp_bridge.errors import ConfigError
from cdp_bridge.store.secrets.keyring import ID_BYTES, Keys

_VERSION = b"\x01"
# Random nonces of 96 bits are safe for 2^32 envelopes under one key (NIST SP 800-38D, section 8.3).
_NONCE_BYTES = 12
HEADER_BYTES = len(_VERSION) + ID_BYTES

Place = tuple[str, str, str]
"""Table, primary key, column."""


def seal(clear: bytes, place: Place, keys: Keys) -> bytes:
    """The envelope of a secret for one place, under the newest key."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    name = newest(keys)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return header(name) + nonce + AESGCM(keys[name]).encrypt(nonce, clear, _bound(header(name), place))


def unseal(envelope: bytes, place: Place, keys: Keys) -> bytes:
    """The secret in an envelope; ConfigError when its key is not there, or it was altered or moved."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    name = key_of(envelope)
    where = f"secret {place[1]}"
    if name not in keys:
        raise ConfigError(
            f"it is encrypted under the key {name}, which the keyring does not hold",
            place=where,
            remedy="Copy the keyring from the machine that saved the secret, or save the secret again",
        )
    start, body = envelope[:HEADER_BYTES], envelope[HEADER_BYTES:]
    try:
        return AESGCM(keys[name]).decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], _bound(start, place))
    except (InvalidTag, ValueError):
        raise ConfigError("it was altered in the database", place=where, remedy="Save the secret again") from None


def key_of(envelope: bytes) -> str:
    """The id of the key that an envelope needs."""
    return envelope[len(_VERSION) : HEADER_BYTES].hex()


def newest(keys: Keys) -> str:
    """The id of the key for new envelopes."""
    return next(reversed(list(keys)))


def header(name: str) -> bytes:
    """How each envelope under a key begins."""
    return _VERSION + bytes.fromhex(name)


def _bound(start: bytes, place: Place) -> bytes:
    return start + json.dumps(place).encode()
