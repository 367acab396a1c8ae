"""Connectors of the Airbyte catalogue, run as programs of their own: any source, any destination."""

from collections.abc import Iterable
from functools import partial

from cdp_bridge.sdk import Connector, Limits, hookimpl, run

from .settings import DestinationSettings, SourceSettings

SOURCE = Connector(
    name="source-airbyte",
    kind="source",
    settings=SourceSettings,
    load="airbyte_connectors.source",
)
DESTINATION = Connector(
    name="destination-airbyte",
    kind="destination",
    settings=DestinationSettings,
    load="airbyte_connectors.destination",
    delivery="append",
    # Every batch starts a process, which costs seconds, so batches are big.
    limits=Limits(rows=50_000, bytes=20_000_000),
)


@hookimpl
def bridge_connectors() -> Iterable[Connector]:
    """A source and a destination."""
    return (SOURCE, DESTINATION)


run_source = partial(run, SOURCE)
run_destination = partial(run, DESTINATION)
