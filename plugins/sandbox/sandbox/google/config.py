"""The configuration that tests may set on the Google twin: clients, tokens, accounts and switches."""

from importlib import resources
from typing import Literal

import msgspec

DATA_MANAGER = "https://www.googleapis.com/auth/datamanager"
ADWORDS = "https://www.googleapis.com/auth/adwords"
AccountType = Literal[
    "GOOGLE_ADS",
    "DISPLAY_VIDEO_PARTNER",
    "DISPLAY_VIDEO_ADVERTISER",
    "DATA_PARTNER",
    "GOOGLE_ANALYTICS_PROPERTY",
    "GOOGLE_AD_MANAGER_AUDIENCE_LINK",
    "FLOODLIGHT_CONFIG",
    "GOOGLE_AD_MANAGER",
]


class Token(msgspec.Struct, forbid_unknown_fields=True):
    """One access token of an identity; `expires_at` 0 never ends, `calls_left` 0 is a revoked token."""

    user: str
    scopes: list[str] = msgspec.field(default_factory=lambda: [DATA_MANAGER, ADWORDS])
    expires_at: float = 0
    calls_left: int | None = None


class RefreshToken(msgspec.Struct, forbid_unknown_fields=True):
    """One refresh token; `expires_at` 0 never ends, `revoked` answers `invalid_grant`."""

    user: str
    client_id: str
    scopes: list[str] = msgspec.field(default_factory=lambda: [DATA_MANAGER, ADWORDS])
    expires_at: float = 0
    revoked: bool = False


class Account(msgspec.Struct, forbid_unknown_fields=True):
    """One account: who is its user, the manager above it, and for a data partner the accounts it is linked with.

    `eu_declaration`: it has made the declaration on political ads in the EU. `eligible`: Customer Match is open to it.
    """

    name: str
    type: AccountType = "GOOGLE_ADS"
    users: list[str] = []
    manager: str | None = None
    is_manager: bool = False
    links: list[str] = []
    currency: str = "EUR"
    time_zone: str = "Europe/Lisbon"
    eu_declaration: bool = True
    eligible: bool = True


class ConversionAction(msgspec.Struct, forbid_unknown_fields=True):
    """One conversion action of an account."""

    account: str
    name: str
    type: str = "UPLOAD_CLICKS"


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """The whole configuration; times are seconds of the twin's clock.

    `user` is who signs in, `declined_scopes` what they untick, `testing` ends refresh tokens after 7 days.
    `service_accounts` are public keys (PEM) by e-mail. `processing`: how long a request is under way. `floor`: members
    that a list needs before it shows a size. `legacy_uploads` opens the upload services of the Google Ads API.
    """

    project: str
    clients: dict[str, str]
    user: str
    tokens: dict[str, Token]
    accounts: dict[str, Account]
    refresh_tokens: dict[str, RefreshToken] = {}
    service_accounts: dict[str, str] = {}
    conversion_actions: dict[str, ConversionAction] = {}
    declined_scopes: list[str] = []
    testing: bool = False
    per_minute: int = 300
    per_day: int = 100_000
    processing: float = 1_800
    floor: int = 100
    legacy_uploads: bool = False


def load() -> Config:
    """The defaults of `defaults.json`."""
    text = resources.files(__package__).joinpath("defaults.json").read_bytes()
    return msgspec.json.decode(text, type=Config)
