"""Connects accounts by OAuth and keeps their tokens encrypted in the store, renewed before they expire."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Struct

from cdp_bridge import settings
from cdp_bridge.errors import ConfigError, TransientError
from cdp_bridge.model import OAuth
from cdp_bridge.oauth import tokens
from cdp_bridge.oauth.tokens import App, Grant
from cdp_bridge.secrets import Resolver, Secret
from cdp_bridge.store import LeaseHeldError, Store

log = logging.getLogger(__name__)

SCHEME = "oauth"
STATE_LIFE = timedelta(minutes=10)
LEASE_SECONDS = 180.0
"""Longer than one request to a token endpoint can take."""
TRIES, TRY_SECONDS = 100, 0.2
"""How often, and at which interval, to check whether another process has renewed an expired token."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class SignIn(Struct, frozen=True):
    """A sign-in in progress: the URL for the browser, and the state with which it returns."""

    url: str
    state: str


class _Pending(Struct, frozen=True, kw_only=True):
    name: str
    app: App
    verifier: str
    redirect_uri: str


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

    def begin(
        self, terms: OAuth, connector_settings: type[msgspec.Struct], raw: Mapping[str, Any], redirect_uri: str
    ) -> SignIn:
        """Start to connect an account with these settings, in which the token's setting holds `oauth:NAME`.

        Raises SettingsError for settings that are wrong, ConfigError for a redirect address that is not HTTPS.
        """
        name = _name_in(raw, terms.access_token)
        _refuse_plain(redirect_uri)
        loaded = settings.load(connector_settings, raw, self._resolver.granting(lambda _: Secret("")))
        app = App(
            token_url=_filled(terms.token_url, loaded),
            client_id=_required(raw, terms.client_id),
            client_secret=_required(raw, terms.client_secret),
            exchange=terms.exchange,
            names=terms.names,
        )
        state, verifier = secrets.token_urlsafe(32), Secret(secrets.token_urlsafe(64)).reveal()
        pending = _Pending(name=name, app=app, verifier=verifier, redirect_uri=redirect_uri)
        self._store.secrets.put(_of_state(state), _sealed(pending), lasts=STATE_LIFE)
        query = {app.called("client_id"): app.client_id, "redirect_uri": redirect_uri, "state": state}
        if not app.names:
            query |= {
                "response_type": "code",
                "scope": terms.scope,
                "code_challenge": _challenge(verifier),
                "code_challenge_method": "S256",
            }
        url = _filled(terms.authorize_url, loaded)
        return SignIn(f"{url}{'&' if '?' in url else '?'}{urlencode(query)}", state)

    def finish(self, answer: Mapping[str, str]) -> str:
        """Exchange the code with which a browser returns for tokens, and store them; the NAME of `oauth:NAME`.

        A state is valid once, and for ten minutes. Raises ConfigError for another state, or when person or platform
        refuse, and TransientError when the platform cannot be reached; either way the person has to begin again.
        """
        stored = self._store.secrets.pop(_of_state(answer.get("state", "")))
        if stored is None:
            raise ConfigError(
                "this sign-in was not begun here, was finished already, or took too long", remedy="Begin again"
            )
        pending = msgspec.json.decode(stored.reveal(), type=_Pending)
        secret = self._client_secret(pending.app)
        code = Secret(answer.get(pending.app.called("code"), "")).reveal()
        if not code:
            raise ConfigError(f"the sign-in of {pending.name} was refused", remedy="Begin again, and agree to it")
        grant = tokens.by_code(pending.app, secret, code, pending.verifier, pending.redirect_uri, self._clock())
        self._store.secrets.put(_of_grant(pending.name), _sealed(grant))
        return pending.name

    def is_connected(self, name: str) -> bool:
        """Whether somebody has connected `oauth:NAME`."""
        return self._store.secrets.get(_of_grant(name)) is not None

    def forget(self, name: str) -> None:
        """Delete the tokens of an account, if there are any."""
        self._store.secrets.drop(_of_grant(name))

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
                with self._store.lease(_of_grant(name), LEASE_SECONDS):
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
        self._store.secrets.put(_of_grant(name), _sealed(newer))
        return newer

    def _grant(self, name: str) -> Grant:
        stored = self._store.secrets.get(_of_grant(name)) if _NAME.fullmatch(name) else None
        if stored is None:
            raise ConfigError(f"nobody has connected {name}", remedy="Connect the account: sign in at the platform")
        return msgspec.json.decode(stored.reveal(), type=Grant)

    def _is_due(self, grant: Grant) -> bool:
        return grant.renew_at is not None and grant.renew_at <= self._clock()

    def _is_over(self, grant: Grant) -> bool:
        return grant.expires_at is not None and grant.expires_at <= self._clock()

    def _client_secret(self, app: App) -> Secret:
        return self._resolver.secret(app.client_secret)


def _sealed(value: Struct) -> Secret:
    return Secret(msgspec.json.encode(value).decode())


def _of_state(state: str) -> str:
    # A digest, so that a reader of the table cannot finish a sign-in, and the lookup leaks no timing.
    return f"state:{hashlib.sha256(state.encode('utf-8', 'replace')).hexdigest()}"


def _of_grant(name: str) -> str:
    return f"{SCHEME}:{name}"


def _challenge(verifier: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _given(raw: Any, setting: str) -> str:
    """The value under a dotted name; empty if there is none."""
    for part in setting.split("."):
        raw = raw.get(part) if isinstance(raw, Mapping) else None
    return "" if raw is None else str(raw)


def _name_in(raw: Mapping[str, Any], setting: str) -> str:
    scheme, _, name = _given(raw, setting).partition(":")
    if scheme != SCHEME or not _NAME.fullmatch(name):
        raise ConfigError(
            "it is not filled by signing in", place=setting, remedy=f"Set it to {SCHEME}:NAME, with a name of your own"
        )
    return name


def _required(raw: Mapping[str, Any], setting: str) -> str:
    value = _given(raw, setting)
    if not value:
        raise ConfigError("signing in needs it", place=setting, remedy="Set it to what the platform says of your app")
    return value


def _filled(template: str, loaded: msgspec.Struct) -> str:
    """A URL with settings in it, none of them secret."""
    given = {name: getattr(loaded, name) for name in loaded.__struct_fields__}
    return template.format_map({name: value for name, value in given.items() if not isinstance(value, Secret)})


def _refuse_plain(redirect_uri: str) -> None:
    try:
        url = urlsplit(redirect_uri)
    except ValueError:
        url = urlsplit("")
    is_private = url.scheme == "https" or (url.scheme == "http" and url.hostname in _LOOPBACK)
    if not is_private or not url.hostname or url.fragment:
        raise ConfigError(
            "a code would come back unencrypted",
            place="redirect_uri",
            remedy="Set serve --public-url to an https address",
        )
