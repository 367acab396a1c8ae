"""The settings of the destination: one Google Ads or Display & Video 360 account."""

from typing import Annotated, Literal

from cdp_bridge.sdk import Secret, option
from msgspec import Meta, Struct

HttpUrl = Annotated[str, Meta(pattern="^https?://")]
Agreement = Literal["granted", "denied"]


class AccessToken(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True, tag="access_token"):
    """A token as it is: one that somebody else renews, or that of a person who signs in."""

    access_token: Annotated[Secret, option("Access token", "oauth:NAME, filled by signing in; or one that is good")]
    client_id: Annotated[str, option("Client id", "Of the app to sign in with; needed for that only")] | None = None
    client_secret: (
        Annotated[Secret, option("Client secret", "Of the app to sign in with; needed for that only")] | None
    ) = None


class RefreshToken(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True, tag="refresh_token"):
    """What access tokens are got with, an hour's worth each time."""

    refresh_token: Annotated[Secret, option("Refresh token", "With the scope datamanager (and adwords for Google Ads)")]
    client_id: Annotated[str, option("Client id", "Of the app that the refresh token was given to")]
    client_secret: Annotated[Secret, option("Client secret", "Of the same app")]


class ServiceAccount(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True, tag="service_account"):
    """An identity without a person; its address must be a user of the login account."""

    key: Annotated[Secret, option("Key", "The whole JSON key file of the service account, such as file:PATH")]


class Account(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """One account at Google."""

    account_id: Annotated[
        str, option("Number", "With or without hyphens", pattern="^[0-9][0-9-]*$", examples=["123-456-7890"])
    ]
    account_type: Annotated[
        Literal["GOOGLE_ADS", "DISPLAY_VIDEO_PARTNER", "DISPLAY_VIDEO_ADVERTISER", "DATA_PARTNER"],
        option("Type", "Which product it belongs to"),
    ] = "GOOGLE_ADS"

    @property
    def number(self) -> str:
        """Its digits."""
        return self.account_id.replace("-", "")

    @property
    def path(self) -> str:
        """As a resource name."""
        return f"accountTypes/{self.account_type}/accounts/{self.number}"


class Settings(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """The account whose user lists and conversion actions are written, and how."""

    credentials: Annotated[AccessToken | RefreshToken | ServiceAccount, option("Credentials", "Who calls")]
    operating_account: Annotated[Account, option("Operating account", "That has the user lists")]
    login_account: (
        Annotated[Account, option("Login account", "Of which the caller is a user, where that is a manager or partner")]
        | None
    ) = None
    linked_account: (
        Annotated[Account, option("Linked account", "For data partners whose link is with a manager of the account")]
        | None
    ) = None
    customer_match_terms: Annotated[
        bool, option("Customer Match terms", "Whether the advertiser has accepted them; nothing is sent before")
    ] = False
    ad_user_data: (
        Annotated[Agreement, option("Consent: ad user data", "What all people who are sent have said; see the README")]
        | None
    ) = None
    ad_personalization: (
        Annotated[
            Agreement, option("Consent: ad personalization", "What all people who are sent have said; see the README")
        ]
        | None
    ) = None
    membership_days: Annotated[
        int, option("Membership in days", "When Google forgets a member who was not sent again", ge=1, le=540)
    ] = 540
    conversion_actions: Annotated[
        dict[str, Annotated[str, Meta(pattern="^[0-9]+$")]],
        option(
            "Conversion actions",
            "Of conversions: the number of one by the name of the event; a request takes ten",
            max_length=10,
            examples=[{"purchase": "7631611119"}],
        ),
    ] = {}
    quota_project: (
        Annotated[str, option("Quota project", "The Cloud project that pays, where it is not that of the client")]
        | None
    ) = None
    api: Annotated[
        Literal["data-manager", "google-ads"],
        option("API for members", "google-ads only for projects that uploaded by it before April 2026"),
    ] = "data-manager"
    test_mode: Annotated[bool, option("Test mode", "Let Google look at everything and keep nothing")] = False
    base_url: Annotated[HttpUrl, option("Base URL", "For a sandbox or proxy")] = "https://datamanager.googleapis.com"
    ads_url: Annotated[HttpUrl, option("Google Ads URL", "For a sandbox or proxy")] = "https://googleads.googleapis.com"
    token_url: Annotated[HttpUrl, option("Token URL", "Where access tokens come from")] = (
        "https://oauth2.googleapis.com/token"  # noqa: S105
    )
    login_url: Annotated[HttpUrl, option("Login URL", "Where a person signs in")] = "https://accounts.google.com"

    @property
    def account(self) -> str:
        """The number of the operating account."""
        return self.operating_account.number
