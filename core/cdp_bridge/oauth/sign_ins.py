"""Connects accounts: a person signs in at a platform in one browser, and an administrator confirms it."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from base64 import b32encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Struct

from cdp_bridge import settings
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import Connector, OAuth
from cdp_bridge.oauth import grants, tokens
from cdp_bridge.oauth.tokens import App, Grant
from cdp_bridge.secrets import Resolver, Secret
from cdp_bridge.store import Store

LIFE = timedelta(minutes=10)
"""How long each step may take: to open the address, to sign in, to confirm."""
CODE_BYTES = 10
"""80 bits: nobody finds a code by trying, so wrong ones need no count, and cost the sign-in of nobody."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
S = TypeVar("S", bound=Struct)


class Account(Struct, frozen=True, kw_only=True):
    """An account to connect: its connector, its kind and name, its raw settings."""

    connector: Connector
    kind: str
    name: str
    settings: Mapping[str, Any]


class Redirect(Struct, frozen=True):
    """Where the browser goes, the state with which it returns, and the secret that tells it from other browsers."""

    url: str
    state: str
    browser: str


class SignedIn(Struct, frozen=True):
    """An account at which a person has signed in, and the code with which an administrator confirms it."""

    kind: str
    name: str
    code: str


class _Pending(Struct, frozen=True, kw_only=True):
    kind: str
    name: str
    account: str
    app: App
    url: str
    issuer: str
    verifier: str
    redirect_uri: str


class SignIns:
    """The sign-ins in progress; `resolver` resolves the secrets of the apps.

    Each is stored encrypted, under a digest of all that must be right to go on with it. So whoever has a part of that
    only (another browser, another connector's address, a guess) finds nothing, and spoils nothing.
    """

    def __init__(self, store: Store, resolver: Resolver, *, clock: Callable[[], float] = time.time) -> None:
        self._secrets, self._resolver, self._clock = store.secrets, resolver, clock

    def is_connected(self, name: str) -> bool:
        """Whether somebody has connected `oauth:NAME`."""
        return self._secrets.get(grants.place_of(name)) is not None

    def begin(self, account: Account, redirect_uri: str) -> str:
        """Begin to connect an account in whose settings the token is `oauth:NAME`; the ticket that opens the sign-in.

        Raises SettingsError for settings that are wrong, ConfigError for a connector without OAuth and a redirect
        address that is not HTTPS.
        """
        terms, raw = _terms(account), account.settings
        _name_in(account)
        _refuse_plain(redirect_uri)
        loaded = settings.load(account.connector.settings, raw, self._resolver.granting(lambda _: Secret("")))
        app = App(
            token_url=_filled(terms.token_url, loaded),
            client_id=_required(raw, terms.client_id),
            client_secret=_required(raw, terms.client_secret),
            exchange=terms.exchange,
            names=terms.names,
        )
        verifier = Secret(secrets.token_urlsafe(64)).reveal()
        query = {app.called("client_id"): app.client_id, "redirect_uri": redirect_uri}
        if not app.names:
            query |= {
                "response_type": "code",
                "scope": terms.scope,
                "code_challenge": _challenge(verifier),
                "code_challenge_method": "S256",
            }
        url = _filled(terms.authorize_url, loaded)
        pending = _Pending(
            kind=account.kind,
            name=account.name,
            account=_digest(account),
            app=app,
            url=f"{url}{'&' if '?' in url else '?'}{urlencode(query)}",
            issuer=_filled(terms.issuer, loaded),
            verifier=verifier,
            redirect_uri=redirect_uri,
        )
        ticket = secrets.token_urlsafe(32)
        self._put(pending, "ticket", account.connector.name, ticket)
        return ticket

    def open(self, connector: str, ticket: str) -> Redirect:
        """Send the browser that brings the ticket to the platform; ConfigError for a wrong, used or old ticket."""
        pending = self._take(_Pending, "ticket", connector, ticket)
        if pending is None:
            raise ConfigError("this address was opened already, or is too old", remedy="Begin again")
        state, browser = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._put(pending, "state", connector, browser, state)
        return Redirect(f"{pending.url}&{urlencode({'state': state})}", state, browser)

    def finish(self, connector: str, browser: str, answer: Mapping[str, str]) -> SignedIn:
        """Exchange the code with which a browser returns for tokens, which nothing uses until they are confirmed.

        Raises ConfigError for a state that is not of this browser and connector, or used or old, for an answer of
        another server, and when person or platform refuse; TransientError when the platform cannot be reached. The
        person has to begin again then.
        """
        pending = self._take(_Pending, "state", connector, browser, answer.get("state", ""))
        if pending is None:
            raise ConfigError(
                "this sign-in was not begun in this browser, was finished already, or took too long",
                remedy="Begin again",
            )
        if not _is_of(pending, answer.get("iss")):
            raise ConfigError("the answer is not from the server that was asked", place="iss", remedy="Begin again")
        code = Secret(answer.get(pending.app.called("code"), "")).reveal()
        if not code:
            raise ConfigError(f"the sign-in of {pending.name} was refused", remedy="Begin again, and agree to it")
        secret = self._resolver.secret(pending.app.client_secret)
        grant = tokens.by_code(pending.app, secret, code, pending.verifier, pending.redirect_uri, self._clock())
        confirmation = b32encode(secrets.token_bytes(CODE_BYTES)).decode()
        self._put(grant, "unconfirmed", pending.account, confirmation)
        shown = "-".join(confirmation[start : start + 4] for start in range(0, len(confirmation), 4))
        return SignedIn(pending.kind, pending.name, shown)

    def confirm(self, account: Account, code: str) -> None:
        """Let an account use what was granted to it; ConfigError for a wrong, used or old code.

        The account must be as it was when the sign-in was begun: another host gets no token that was meant for this.
        """
        name = _name_in(account)
        grant = self._take(Grant, "unconfirmed", _digest(account), code.replace("-", "").strip().upper())
        if grant is None:
            raise ConfigError(
                "no sign-in of this account waits for it",
                place="code",
                remedy="Copy it from the page in the browser, within ten minutes; or begin again",
            )
        self._secrets.put(grants.place_of(name), tokens.sealed(grant))

    def _put(self, value: Struct, step: str, *keys: str) -> None:
        self._secrets.put(_place(step, *keys), tokens.sealed(value), lasts=LIFE)

    def _take(self, kind: type[S], step: str, *keys: str) -> S | None:
        """What was put under these keys, once."""
        stored = self._secrets.pop(_place(step, *keys))
        return None if stored is None else msgspec.json.decode(stored.reveal(), type=kind)


def _place(step: str, *keys: str) -> str:
    # A digest, so that a reader of the table cannot go on with a sign-in, and the lookup leaks no timing.
    return f"{step}:{hashlib.sha256(json.dumps(keys).encode()).hexdigest()}"


def _digest(account: Account) -> str:
    text = json.dumps([account.connector.name, account.kind, account.name, account.settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _challenge(verifier: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _is_of(pending: _Pending, issuer: str | None) -> bool:
    """Whether an answer is from the server that was asked (RFC 9207, section 2.4).

    Of a server whose issuer is not known an answer may have one all the same; it has to be of its origin then.
    """
    if pending.issuer:
        return issuer == pending.issuer
    return issuer is None or _origin(issuer) == _origin(pending.url)


def _origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc.lower()


def _terms(account: Account) -> OAuth:
    if account.connector.oauth is None:
        raise ConfigError(
            f"nobody can sign in for {account.connector.name}", place="path", remedy="Set its credentials instead"
        )
    return account.connector.oauth


def _given(raw: Any, setting: str) -> str:
    """The value under a dotted name; empty if there is none."""
    for part in setting.split("."):
        raw = raw.get(part) if isinstance(raw, Mapping) else None
    return "" if raw is None else str(raw)


def _name_in(account: Account) -> str:
    setting = _terms(account).access_token
    scheme, _, name = _given(account.settings, setting).partition(":")
    if scheme != grants.SCHEME or not grants.NAME.fullmatch(name):
        raise ConfigError(
            "it is not filled by signing in",
            place=setting,
            remedy=f"Set it to {grants.SCHEME}:NAME, with a name of your own",
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
