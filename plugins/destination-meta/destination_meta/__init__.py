"""Keeps Meta custom audiences equal to CDP segments."""

from collections.abc import Iterable

from cdp_bridge.sdk import Connector, Limits, hookimpl

from .settings import Settings

CONNECTOR = Connector(
    name="destination-meta",
    kind="destination",
    settings=Settings,
    load="destination_meta.destination",
    delivery="idempotent",
    limits=Limits(rows=10_000, bytes=1_000_000, requests=190_000, seconds=3_600),
    documentation="https://developers.facebook.com/docs/marketing-api/audiences/guides/custom-audiences",
)


@hookimpl
def bridge_connectors() -> Iterable[Connector]:
    """The connector of this package."""
    return (CONNECTOR,)


def main() -> None:
    """Run as an executable that speaks the Airbyte protocol."""
    from cdp_bridge.sdk import run

    run(CONNECTOR)
