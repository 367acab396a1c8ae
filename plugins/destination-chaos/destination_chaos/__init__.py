"""A destination whose settings are its faults, for trying how a bridge handles a failing platform."""

from collections.abc import Iterable
from functools import partial

from cdp_bridge.sdk import Connector, Limits, hookimpl, run

from destination_chaos.settings import Settings

CONNECTOR = Connector(
    name="destination-chaos",
    kind="destination",
    settings=Settings,
    load="destination_chaos.destination",
    delivery="idempotent",
    # Small, so that a few people already make several batches.
    limits=Limits(rows=100, bytes=1_000_000),
    local=True,
)


@hookimpl
def bridge_connectors() -> Iterable[Connector]:
    """The connector of this package."""
    return (CONNECTOR,)


def held(path: str) -> dict[str, dict[str, dict[str, list[str]]]]:
    """Who is in the audiences of a folder: audience id -> member key in hex -> identifiers by column.

    Empty if nothing was ever written there; ConfigError if the folder cannot be read.
    """
    from destination_chaos.audiences import read

    return read(path)


main = partial(run, CONNECTOR)
