"""Twilio Segment as a source: spaces, audiences, the members of an audience, single profiles."""

from collections.abc import Iterable

from cdp_bridge.sdk import Connector, hookimpl

from .settings import Settings

CONNECTOR = Connector(
    name="source-segment",
    kind="source",
    settings=Settings,
    load="source_segment.source",
    documentation="https://www.twilio.com/docs/segment/unify/profiles-sync",
)


@hookimpl
def bridge_connectors() -> Iterable[Connector]:
    """The Segment source."""
    return (CONNECTOR,)


def main() -> None:
    """Speak the Airbyte protocol on stdin and stdout."""
    from cdp_bridge.sdk import run

    run(CONNECTOR)
