"""Keeps Google user lists in sync with CDP segments."""

from collections.abc import Iterable
from functools import partial

from cdp_bridge.sdk import Connector, Limits, OAuth, hookimpl, run

from destination_google.settings import Settings

CONNECTOR = Connector(
    name="destination-google",
    kind="destination",
    settings=Settings,
    load="destination_google.destination",
    delivery="idempotent",
    # A Cloud project has 300 requests a minute, also for lists and statuses (google.md 4.5).
    limits=Limits(rows=10_000, bytes=2_500_000, requests=240, seconds=60),
    hosts=("datamanager.googleapis.com", "googleads.googleapis.com", "oauth2.googleapis.com"),
    documentation="https://developers.google.com/data-manager/api/devguides/audiences/send-audience-members",
    oauth=OAuth(
        # Without both parameters there is no refresh token (google.md 3.1).
        authorize_url="{login_url}/o/oauth2/v2/auth?access_type=offline&prompt=consent",
        token_url="{token_url}",
        client_id="credentials.client_id",
        client_secret="credentials.client_secret",
        access_token="credentials.access_token",
        scope="https://www.googleapis.com/auth/datamanager https://www.googleapis.com/auth/adwords",
    ),
)


@hookimpl
def bridge_connectors() -> Iterable[Connector]:
    """The connector of this package."""
    return (CONNECTOR,)


main = partial(run, CONNECTOR)
