"""Files as a source: the people of a segment from CSV, JSON lines or Parquet."""

from collections.abc import Iterable

from cdp_bridge.sdk import Connector, hookimpl

from .settings import Settings

CONNECTOR = Connector(name="source-file", kind="source", settings=Settings, load="source_file.source")


@hookimpl
def bridge_connectors() -> Iterable[Connector]:
    """The file source."""
    return (CONNECTOR,)


def main() -> None:
    """Speak the Airbyte protocol on stdin and stdout."""
    from cdp_bridge.sdk import run

    run(CONNECTOR)
