"""The settings of the destination: one TikTok advertiser account."""

from typing import Annotated, Literal

from cdp_bridge.sdk import Secret, option
from msgspec import Struct


class Settings(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """The advertiser account whose audiences are written, the event source of its conversions, and how.

    `streaming` is right for nearly everybody: it takes any number of people in and out, at once, also of a small
    audience. `file` is for an app that TikTok has not put on the allow-list of the streaming API: a change takes up to
    two days, and only an audience of at least 1,000 matched people can be made or kept.
    """

    access_token: Annotated[
        Secret,
        option("Access token", "A long-term one with Audience Management; or oauth:NAME, filled by signing in"),
    ]
    advertiser_id: Annotated[
        str, option("Advertiser", "Its number", pattern="^[0-9]+$", examples=["7000000000000000001"])
    ]
    upload: Annotated[
        Literal["streaming", "file"],
        option("Upload", "Streaming, or files where the app is not on the allow-list: slow, from 1,000 matched people"),
    ] = "streaming"
    event_source_id: (
        Annotated[str, option("Event source", "Of conversions: a pixel code, or the id of an app, offline or CRM set")]
        | None
    ) = None
    event_source: Annotated[
        Literal["web", "app", "offline", "crm"],
        option("Kind of event source", "Conversions that happened elsewhere are refused: they need another source"),
    ] = "web"
    test_event_code: (
        Annotated[str, option("Test event code", "Shows conversions in the test tab of Events Manager")] | None
    ) = None
    app_id: Annotated[str, option("App id", "Of the app to sign in with; needed for that only")] | None = None
    app_secret: Annotated[Secret, option("App secret", "Of the app to sign in with; needed for that only")] | None = (
        None
    )
    base_url: Annotated[str, option("Base URL", "For a sandbox or proxy", pattern="^https?://")] = (
        "https://business-api.tiktok.com"
    )
