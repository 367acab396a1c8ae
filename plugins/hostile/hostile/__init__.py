"""Connectors that do everything wrong, one thing at a time: the core survives them, the conformance kit finds them."""

from collections.abc import Iterable
from functools import partial

from cdp_bridge.sdk import Connector, Limits, hookimpl, run

from hostile.settings import Settings

# What one request of the vendor may hold, less what the core's estimate leaves out: keys and names of columns.
LIMITS = Limits(rows=500, bytes=100_000)
SOURCE = Connector(name="source-hostile", kind="source", settings=Settings, load="hostile.misbehaving:HostileSource")
DESTINATION = Connector(
    name="destination-hostile",
    kind="destination",
    settings=Settings,
    load="hostile.misbehaving:HostileDestination",
    limits=LIMITS,
)


@hookimpl
def bridge_connectors() -> Iterable[Connector]:
    """The connectors of this package."""
    return (SOURCE, DESTINATION)


read = partial(run, SOURCE)
write = partial(run, DESTINATION)
