"""A destination that writes batches into files, to inspect, to hand over, or to copy as a first connector."""

from collections.abc import Iterable
from functools import partial

from cdp_bridge.sdk import Connector, Limits, hookimpl, run

from destination_file.settings import Settings

CONNECTOR = Connector(
    name="destination-file",
    kind="destination",
    settings=Settings,
    load="destination_file.destination",
    delivery="idempotent",
    limits=Limits(rows=10_000, bytes=10_000_000),
    local=True,
)


@hookimpl
def bridge_connectors() -> Iterable[Connector]:
    """The connector of this package."""
    return (CONNECTOR,)


main = partial(run, CONNECTOR)
