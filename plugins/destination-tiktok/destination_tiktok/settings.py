"""What a person says about one TikTok advertiser account."""

from typing import Annotated

from cdp_bridge.sdk import Secret, option
from msgspec import Struct


class Settings(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """The advertiser account whose audiences are written."""

    access_token: Annotated[
        Secret,
        option("Access token", "A long-term one with Audience Management; or oauth:NAME, filled by signing in"),
    ]
    advertiser_id: Annotated[
        str, option("Advertiser", "Its number", pattern="^[0-9]+$", examples=["7000000000000000001"])
    ]
    app_id: Annotated[str, option("App id", "Of the app to sign in with; needed for that only")] | None = None
    app_secret: Annotated[Secret, option("App secret", "Of the app to sign in with; needed for that only")] | None = (
        None
    )
    base_url: Annotated[str, option("Base URL", "For a sandbox or proxy", pattern="^https?://")] = (
        "https://business-api.tiktok.com"
    )
