"""What a plugin announces of a connector, and the findings of its check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct, field

from cdp_bridge.errors import BridgeError, ConfigError

API_VERSION = 1
"""The version of this module's contracts; a connector built for another one is not loaded."""


Kind = Literal["source", "destination"]


DeliveryGuarantee = Literal["idempotent", "upsert", "append"]


MappingFunction = Callable[[str], str | None]
"""A named transformation of a mapping: one text in, one out; None, or an exception, drops the value."""


class Limits(Struct, frozen=True, kw_only=True):
    """What one account of a platform takes; the core obeys it.

    A batch has at most `rows` members, and about `bytes` bytes: the core goes by the mean size of a member. `write` is
    called at most `requests` times in any `seconds`, counted over all runs that share a store; None: no such limit.
    """

    rows: int = 10_000
    bytes: int = 1_000_000
    requests: int | None = None
    seconds: int = 3_600


class OAuth(Struct, frozen=True, kw_only=True):
    """How a person connects an account by signing in: the authorization code grant (RFC 6749), with PKCE (RFC 7636).

    The URLs are templates over the settings (`{base_url}/oauth/token`); the one to sign in at may have parameters of
    its own. `client_id` and `client_secret` name the settings with those of the app (dotted where they are nested),
    `access_token` the one that is filled: it holds `oauth:NAME`, and the connector gets a token that is good. `scope`
    is written as the platform wants it.
    Where a platform gives no refresh token but trades a token for one that lasts longer, `exchange` is the grant type
    of that trade, and the name of its parameter (Meta: `fb_exchange_token`). Where it goes its own way (TikTok),
    `names` are what it calls `client_id`, `client_secret` and `code`: nothing more is sent, but for `state` and
    `redirect_uri` to sign in; the token is asked for in JSON, and is in `data` of the answer, beside a `code` of 0.
    Where the platform says who it is when the browser returns (`iss`, RFC 9207), `issuer` is what it must say, a
    template as the URLs are; an answer without it is refused then.
    """

    authorize_url: str
    token_url: str
    client_id: str
    client_secret: str
    access_token: str
    scope: str = ""
    exchange: str = ""
    issuer: str = ""
    names: Mapping[str, str] = field(default_factory=dict)


class Connector(Struct, frozen=True, kw_only=True):
    """A connector as a plugin announces it; `load` is imported only when a run needs it.

    `settings` is a msgspec Struct type, `load` the dotted path of a module (or `module:object`) that fulfils `Source`
    or `Destination`. `delivery` is the honest promise of its writes: `idempotent` (a repeat changes nothing), `upsert`
    (a repeat replaces what is there), `append` (a repeat counts twice). `hosts` are those of the vendor (`*.` for all
    below one; `host:port` where it is not 443): a container reaches them, and what its settings name. `documentation`
    is the URL of the vendor's, `oauth` how an account is connected by signing in, if it can be. `local` says that it
    works with files of this machine, so never in a container. `program` is the console script that works for it, where
    that is not its name: it starts a container itself, and is never in one. `image` is its container image, where that
    is not named as the machine's configuration says.
    A connector for another `api_version` is reported and not used.
    """

    name: str
    kind: Kind
    settings: type[Struct]
    load: str
    api_version: int = API_VERSION
    delivery: DeliveryGuarantee = "idempotent"
    limits: Limits = Limits()
    hosts: tuple[str, ...] = ()
    documentation: str = ""
    oauth: OAuth | None = None
    local: bool = False
    program: str = ""
    image: str = ""


class Probe(Struct, frozen=True):
    """One finding of a check: `name` is what was looked at, `detail` what was found.

    A failed one says in `remedy` what a person should do.
    """

    name: str
    passed: bool
    detail: str = ""
    remedy: str = ""

    @classmethod
    def of(cls, name: str, finding: Callable[[], str]) -> Probe:
        """A probe that passes with the text of `finding`, or fails with problem and remedy of the error it raises."""
        try:
            return cls(name, True, finding())
        except ConfigError as error:
            return cls(name, False, f"{error.place}: {error.problem}" if error.place else error.problem, error.remedy)
        except BridgeError as error:
            return cls(name, False, str(error), "Try again later; if it stays so, check the host in the settings")
