"""Keeps Meta custom audiences equal to CDP segments."""

from collections.abc import Iterable
from functools import partial

from cdp_bridge.sdk import Connector, Limits, hookimpl, run

from .settings import Settings

CONNECTOR = Connector(
    name="destination-meta",
    kind="destination",
    settings=Settings,
    load="destination_meta.destination",
    delivery="idempotent",
    limits=Limits(rows=10_000, bytes=1_000_000, requests=190_000, seconds=3_600),
    hosts=("graph.facebook.com",),
    documentation="https://developers.facebook.com/docs/marketing-api/audiences/guides/custom-audiences",
)


@hookimpl
def bridge_connectors() -> Iterable[Connector]:
    """The connector of this package."""
    return (CONNECTOR,)


main = partial(run, CONNECTOR)
