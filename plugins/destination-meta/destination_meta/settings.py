"""The settings of the destination: one Meta ad account."""

from typing import Annotated, Literal

from cdp_bridge.sdk import Secret, option
from msgspec import Struct


class Settings(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """The ad account whose custom audiences are written, the dataset of its conversions, and how."""

    access_token: Annotated[
        Secret,
        option(
            "Access token",
            "Of a system user with ads_management and this ad account assigned; or oauth:NAME, filled by signing in",
        ),
    ]
    ad_account_id: Annotated[
        str, option("Ad account", "Its number, with or without act_", pattern="^(act_)?[0-9]+$", examples=["act_1001"])
    ]
    app_secret: Annotated[
        Secret | None, option("App secret", "Signs every call with appsecret_proof; needed if the app demands it")
    ] = None
    app_id: Annotated[str, option("App id", "Of the app to sign in with; needed for that only")] | None = None
    customer_file_source: Annotated[
        Literal["USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY", "BOTH_USER_AND_PARTNER_PROVIDED"],
        option("Origin of the data", "Who collected it from the customers: the advertiser, a partner, or both"),
    ] = "USER_PROVIDED_ONLY"
    limited_data_use: Annotated[
        Literal["none", "california", "located"],
        option("Limited data use", "A US state-law switch for whoever is sent: off, California, or located by Meta"),
    ] = "none"
    retention_days: (
        Annotated[int, option("Retention in days", "When Meta forgets a member; empty: never", ge=1, le=180)] | None
    ) = None
    dataset_id: (
        Annotated[str, option("Dataset", "Of conversions: the number of a dataset (pixel)", pattern="^[0-9]+$")] | None
    ) = None
    test_event_code: (
        Annotated[str, option("Test event code", "Shows conversions in the test tab of Events Manager")] | None
    ) = None
    api_version: Annotated[
        str, option("API version", "An expired one is served silently by another", pattern="^v[0-9]+\\.[0-9]+$")
    ] = "v26.0"
    base_url: Annotated[str, option("Base URL", "For a sandbox or proxy", pattern="^https?://")] = (
        "https://graph.facebook.com"
    )

    login_url: Annotated[str, option("Login URL", "Where a person signs in", pattern="^https?://")] = (
        "https://www.facebook.com"
    )

    @property
    def account(self) -> str:
        """The ad account as the API writes it: `act_` and digits."""
        return "act_" + self.ad_account_id.removeprefix("act_")
