"""Runs any source or destination of the Airbyte catalogue as a separate program."""

from collections.abc import Iterable
from functools import partial

import msgspec
from cdp_bridge.sdk import Connector, Limits, hookimpl, run
from msgspec.structs import replace

from airbyte_connectors.settings import DestinationSettings, Image, SourceSettings

IMAGE = "docker:"

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


@hookimpl
def bridge_connector(name: str, kind: str | None) -> Connector | None:
    """`docker:IMAGE`: any image of a connector; without a wanted kind, its name decides."""
    image = name.removeprefix(IMAGE)
    if image in (name, ""):
        return None
    is_destination = kind == "destination" or (kind is None and "destination-" in image)
    base = DESTINATION if is_destination else SOURCE
    connector = ("connector", Image, Image(image=image))
    settings = msgspec.defstruct(
        "ImageSettings", [connector], bases=(base.settings,), kw_only=True, forbid_unknown_fields=True, frozen=True
    )
    return replace(base, name=name, settings=settings, program=base.name)


run_source = partial(run, SOURCE)
run_destination = partial(run, DESTINATION)
