"""What a connector says of signing in at its platform."""

from __future__ import annotations

from msgspec import Struct


class OAuth(Struct, frozen=True, kw_only=True):
    """How an account is connected: with the authorization code grant (RFC 6749) and PKCE S256 (RFC 7636).

    The URLs are templates over the settings (`{base_url}/oauth/token`); the one to sign in at may have parameters of
    its own. `scope` is written as the platform wants it. `client_id` and `client_secret` name the settings with those
    of the app, `access_token` the one that is filled: it holds `oauth:NAME`, and the connector gets a token that is
    good. Where a platform gives no refresh token but trades a token for one that lasts longer, `exchange` is the grant
    type of that trade, and the name of its parameter (Meta: `fb_exchange_token`).
    """

    authorize_url: str
    token_url: str
    scope: str
    client_id: str
    client_secret: str
    access_token: str
    exchange: str = ""
