"""Connectors for benches: a source of made-up people, and a destination that stores nobody."""

from collections.abc import Iterable
from functools import partial

from cdp_bridge.sdk import Connector, Limits, hookimpl, run
from msgspec import Struct

# With a vendor, containers get a network and a proxy of their own, as those of real connectors do.
HOSTS = ("vendor.example",)


class Crowd(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """How many people there are."""

    people: int


class Nothing(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Nothing to set."""


SOURCE = Connector(name="source-crowd", kind="source", settings=Crowd, load="bench_connectors.crowd", hosts=HOSTS)
DESTINATION = Connector(
    name="destination-void",
    kind="destination",
    settings=Nothing,
    load="bench_connectors.void",
    limits=Limits(rows=10_000, bytes=1_000_000),
    hosts=HOSTS,
)


@hookimpl
def bridge_connectors() -> Iterable[Connector]:
    """Both."""
    return (SOURCE, DESTINATION)


read = partial(run, SOURCE)
write = partial(run, DESTINATION)
