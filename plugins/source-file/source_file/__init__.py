"""A source that reads the people of a segment from CSV, JSON lines or Parquet files."""

from collections.abc import Iterable
from functools import partial

from cdp_bridge.sdk import Connector, hookimpl, run

from source_file.settings import Settings

CONNECTOR = Connector(name="source-file", kind="source", settings=Settings, load="source_file.source", local=True)


@hookimpl
def bridge_connectors() -> Iterable[Connector]:
    """The file source."""
    return (CONNECTOR,)


main = partial(run, CONNECTOR)
