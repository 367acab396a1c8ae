"""Keeps the tokens that people have granted encrypted in the store, and renews them before they expire."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable

import msgspec

from cdp_bridge.errors import ConfigError, TransientError
from cdp_bridge.oauth import tokens
from cdp_bridge.oauth.tokens import App, Grant
from cdp_bridge.secrets import Resolver, Secret
from cdp_bridge.store import LeaseHeldError, Store

log = logging.getLogger(__name__)

SCHEME = "oauth"
LEASE_SECONDS = 180.0
"""Longer than one request to a token endpoint can take."""
TRIES, TRY_SECONDS = 100, 0.2
"""How often, and at which interval, to check whether another process has renewed an expired token."""
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Grants:
    """The accounts that people have connected; `resolver` resolves the secrets of the apps."""

    def __init__(
        self,
        store: Store,
        resolver: Resolver,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store, self._resolver, self._clock, self._sleep = store, resolver, clock, sleep

    def forget(self, name: str) -> None:
        """Delete the tokens of an account, if there are any."""
        self._store.secrets.drop(place_of(name))

    def token(self, name: str) -> Secret:
        """The secret behind `oauth:NAME`: a valid token.

        Raises ConfigError if there is none or a person has to connect the account again, TransientError when a
        token that has expired cannot be renewed now.
        """
        return Secret(self._valid(name).access_token)

    def _valid(self, name: str) -> Grant:
        """The grant with a valid token; one process at a time renews it, since a refresh token may work only once."""
        for _ in range(TRIES):
            grant = self._grant(name)
            if not self._is_due(grant):
                return grant
            try:
                with self._store.lease(place_of(name), LEASE_SECONDS):
                    return self._renewed(name)
            except LeaseHeldError:
                if not self._is_over(grant):
                    return grant
                self._sleep(TRY_SECONDS)
        raise TransientError(f"another process has been renewing the token of {name} for too long")

    def _renewed(self, name: str) -> Grant:
        grant = self._grant(name)
        if not self._is_due(grant):
            return grant
        if not (grant.refresh_token or grant.app.exchange):
            if self._is_over(grant):
                raise ConfigError(f"the sign-in of {name} has expired", remedy="Connect the account again")
            return grant
        try:
            newer = tokens.renewed(grant, self._client_secret(grant.app), self._clock())
        except TransientError as error:
            if self._is_over(grant):
                raise
            log.warning("the token of %s is still valid, but cannot be renewed now: %s", name, error)
            return grant
        # Saved before it is used: the old refresh token may be invalid already.
        self._store.secrets.put(place_of(name), tokens.sealed(newer))
        return newer

    def _grant(self, name: str) -> Grant:
        stored = self._store.secrets.get(place_of(name)) if NAME.fullmatch(name) else None
        if stored is None:
            raise ConfigError(f"nobody has connected {name}", remedy="Connect the account: sign in at the platform")
        return msgspec.json.decode(stored.reveal(), type=Grant)

    def _is_due(self, grant: Grant) -> bool:
        return grant.renew_at is not None and grant.renew_at <= self._clock()

    def _is_over(self, grant: Grant) -> bool:
        return grant.expires_at is not None and grant.expires_at <= self._clock()

    def _client_secret(self, app: App) -> Secret:
        return self._resolver.secret(app.client_secret)


def place_of(name: str) -> str:
    """Where the store keeps the grant behind `oauth:NAME`."""
    return f"{SCHEME}:{name}"
