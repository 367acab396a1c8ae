"""Reads spaces, audiences, the members of audiences and single profiles from Twilio Segment."""

from collections.abc import Iterable
from functools import partial

from cdp_bridge.sdk import Connector, hookimpl, run

from source_segment.settings import Settings

CONNECTOR = Connector(
    name="source-segment",
    kind="source",
    settings=Settings,
    load="source_segment.source",
    hosts=(
        "api.segmentapis.com",
        "eu1.api.segmentapis.com",
        "profiles.segment.com",
        "profiles.euw1.segment.com",
    ),
    documentation="https://www.twilio.com/docs/segment/unify/profiles-sync",
)


@hookimpl
def bridge_connectors() -> Iterable[Connector]:
    """The Segment source."""
    return (CONNECTOR,)


main = partial(run, CONNECTOR)
