"""Keeps Meta custom audiences in sync with CDP segments."""

from collections.abc import Iterable
from functools import partial

from cdp_bridge.sdk import Connector, Limits, OAuth, hookimpl, run

from destination_meta.settings import Settings

CONNECTOR = Connector(
    name="destination-meta",
    kind="destination",
    settings=Settings,
    load="destination_meta.destination",
    delivery="idempotent",
    limits=Limits(rows=10_000, bytes=1_000_000, requests=190_000, seconds=3_600),
    hosts=("graph.facebook.com",),
    documentation="https://developers.facebook.com/docs/marketing-api/audiences/guides/custom-audiences",
    oauth=OAuth(
        authorize_url="{login_url}/{api_version}/dialog/oauth",
        token_url="{base_url}/{api_version}/oauth/access_token",
        client_id="app_id",
        client_secret="app_secret",
        access_token="access_token",
        scope="ads_management,ads_read",
        # There is no refresh token: a long token is traded for a longer one before it ends (meta.md 1.1).
        exchange="fb_exchange_token",
    ),
)


@hookimpl
def bridge_connectors() -> Iterable[Connector]:
    """The connector of this package."""
    return (CONNECTOR,)


main = partial(run, CONNECTOR)
