"""Translates errors of NATS into errors of the bridge, without credentials in their text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import nats.errors
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError, ServiceUnavailableError

from cdp_bridge.errors import BridgeError, ConfigError, RejectedError, TransientError

# Error codes of the JetStream API (nats-server, server/errors.json).
_NOT_STORED = 10077
_OUT_OF_SPACE = {10023, 10047}
_TOO_LARGE = 10054
_NO_JETSTREAM = {10039, 10076}


class FullError(TransientError):
    """The queue is full: nothing was stored, and the publisher must tell its caller."""


class ThereAlreadyError(TransientError):
    """A message of that id is in the queue already."""


@contextmanager
def plainly(place: str) -> Iterator[None]:
    """Translate errors of NATS that the block raises; others pass unchanged."""
    try:
        yield
    except (nats.errors.Error, OSError, TimeoutError, EOFError) as error:
        raise meaning(error, place) from None


def meaning(error: Exception, place: str) -> BridgeError:
    """The error of the bridge for an error of NATS: ConfigError, TransientError or RejectedError."""
    # The client has no class for the answer of some servers to a wrong token.
    if isinstance(error, nats.errors.AuthorizationError) or "authorization" in str(error).lower():
        remedy = "Check the token, user or nkey, and that it may use JetStream"
        return ConfigError("the queue server refuses the credentials", place=place, remedy=remedy)
    if isinstance(error, nats.errors.MaxPayloadError):
        return _too_large(place)
    if isinstance(error, APIError):
        return _refusal(error, place)
    if isinstance(error, nats.errors.NoRespondersError | NoStreamResponseError):
        return _missing(place)
    if isinstance(error, nats.errors.TimeoutError):
        return TransientError(f"{place}: the queue server does not answer")
    return TransientError(f"{place}: the queue server cannot be reached ({type(error).__name__})")


def _refusal(error: APIError, place: str) -> BridgeError:
    description = error.description or ""
    if error.err_code == _NOT_STORED and "per subject" in description:
        return ThereAlreadyError(f"{place}: the message is in the queue already")
    if error.err_code == _NOT_STORED and "maximum" in description:
        return FullError(f"{place}: the queue is full; nothing was stored")
    if error.err_code == _NOT_STORED or error.err_code in _OUT_OF_SPACE:
        return FullError(f"{place}: the queue server cannot write to its disk; nothing was stored")
    if error.err_code == _TOO_LARGE:
        return _too_large(place)
    if error.err_code in _NO_JETSTREAM:
        remedy = "Switch JetStream on in the server's configuration, for this account"
        return ConfigError("the server has no JetStream", place=place, remedy=remedy)
    if isinstance(error, ServiceUnavailableError | NotFoundError):
        return _missing(place)
    remedy = "See the log of the server"
    return ConfigError(f"the queue server says: {description} ({error.err_code})", place=place, remedy=remedy)


def _missing(place: str) -> TransientError:
    return TransientError(f"{place}: the queue is not there yet; if it stays so, see that the server has JetStream")


def _too_large(place: str) -> RejectedError:
    return RejectedError(f"{place}: the message is larger than the queue takes", reason="too_large")
