"""Keeps TikTok audiences in sync with CDP segments."""

from collections.abc import Iterable
from functools import partial

from cdp_bridge.sdk import Connector, Limits, OAuth, hookimpl, run

from destination_tiktok.settings import Settings

CONNECTOR = Connector(
    name="destination-tiktok",
    kind="destination",
    settings=Settings,
    load="destination_tiktok.destination",
    delivery="idempotent",
    # A request has 1,000 rows, and who has two addresses needs two of them: of 700 members there are rarely more.
    # Basic access has 10 a second and 600 a minute: 8 a second are 480 a minute, so that one window keeps both.
    limits=Limits(rows=700, bytes=1_000_000, requests=8, seconds=1),
    hosts=("business-api.tiktok.com",),
    documentation="https://business-api.tiktok.com/portal/docs?id=1739940585975809",
    oauth=OAuth(
        authorize_url="{base_url}/portal/auth",
        token_url="{base_url}/open_api/v1.3/oauth2/access_token/",
        client_id="app_id",
        client_secret="app_secret",
        access_token="access_token",
        names={"client_id": "app_id", "client_secret": "secret", "code": "auth_code"},
    ),
)


@hookimpl
def bridge_connectors() -> Iterable[Connector]:
    """The connector of this package."""
    return (CONNECTOR,)


main = partial(run, CONNECTOR)
